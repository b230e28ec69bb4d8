"""Extinction, dereddened magnitudes and the errors of magnitudes, colours and sizes."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column
from hypothesis import given
from hypothesis import strategies as st

from shredfinder.cuts import (
    color_error,
    deredden,
    dereddened_magnitude,
    extinction,
    magnitude_error,
    surface_brightness_error,
)
from shredfinder.surveys import SURVEYS, get_survey

FLUXES = st.floats(1e-3, 1e6)


def test_magnitude_error_by_hand():
    # Signal to noise of 20: 1.0857 / 20.
    assert magnitude_error(10.0, 4.0) == pytest.approx(1.0857362 / 20)
    assert type(magnitude_error(10.0, 4.0)) is float


def test_magnitude_error_is_the_derivative_of_the_magnitude():
    flux, sigma = 37.0, 0.01
    brighter, fainter = (-2.5 * np.log10(flux + sign * sigma) for sign in (1, -1))
    assert magnitude_error(flux, sigma**-2) == pytest.approx((fainter - brighter) / 2, rel=1e-6)


@pytest.mark.parametrize(
    ("flux", "ivar"),
    [(0, 1), (-3, 1), (1, 0), (1, -1), (np.nan, 1), (1, np.nan), (np.inf, 1), (1, np.inf)],
)
def test_magnitude_error_unknown(flux, ivar):
    assert np.isnan(magnitude_error(flux, ivar))


def test_magnitude_error_units():
    error = magnitude_error(10 * u.nmgy, 4 * u.nmgy**-2)
    assert error.unit == u.mag
    assert error.value == pytest.approx(magnitude_error(10, 4))
    same = magnitude_error(10 * u.nmgy, (4 * u.nmgy**-2).to(u.mgy**-2))
    assert same.value == pytest.approx(error.value)
    columns = magnitude_error(Column([10.0], unit="nanomaggy"), Column([4.0], unit="1/nanomaggy^2"))
    assert columns[0] == pytest.approx(error.value)
    with pytest.raises(u.UnitsError, match="flux_ivar"):
        magnitude_error(10 * u.nmgy, 4 * u.nmgy)
    with pytest.raises(u.UnitsError, match="flux"):
        magnitude_error(10 * u.mag, 4)
    with pytest.raises(u.UnitsError, match="flux"):
        magnitude_error(10 * u.ABmag, 4)


def test_color_error_by_hand():
    assert color_error(0.03, 0.04) == pytest.approx(0.05)
    assert color_error([0.03, -1.0, np.inf], 0.04)[0] == pytest.approx(0.05)
    assert np.isnan(color_error([0.03, -1.0, np.inf], 0.04)).tolist() == [False, True, True]
    assert color_error(0.03 * u.mag, 40 * u.mmag).to_value(u.mag) == pytest.approx(0.05)
    with pytest.raises(u.UnitsError, match="second_err"):
        color_error(0.03, 0.04 * u.m)


def test_surface_brightness_error_by_hand():
    # SDSS: sqrt(0.03^2 + (2.17147 * 0.1 / 2)^2) = 0.112642.
    expected = np.sqrt(0.03**2 + (2.17147 * 0.1 / 2) ** 2)
    assert surface_brightness_error(0.03, 2.0, r_eff_err=0.1) == pytest.approx(expected, rel=1e-5)
    assert surface_brightness_error(0.03, 2.0, r_eff_ivar=100.0) == pytest.approx(
        expected, rel=1e-5
    )
    minutes = surface_brightness_error(0.03, 2 / 60 * u.arcmin, r_eff_ivar=100 * u.arcsec**-2)
    assert minutes.to_value(u.mag) == pytest.approx(expected, rel=1e-5)


def test_surface_brightness_error_takes_one_error_of_the_radius():
    with pytest.raises(TypeError, match="neither"):
        surface_brightness_error(0.03, 2.0)
    with pytest.raises(TypeError, match="both"):
        surface_brightness_error(0.03, 2.0, r_eff_err=0.1, r_eff_ivar=100.0)
    with pytest.raises(u.UnitsError, match="r_eff_ivar"):
        surface_brightness_error(0.03, 2.0, r_eff_ivar=100 * u.arcsec)


@pytest.mark.parametrize(
    "options",
    [{"r_eff_err": -1000.0}, {"r_eff_err": np.inf}, {"r_eff_ivar": 0.0}, {"r_eff_ivar": -1.0}],
)
def test_surface_brightness_error_unknown(options):
    assert np.isnan(surface_brightness_error(0.03, 2.0, **options))


@pytest.mark.parametrize("radius", [0.0, -2.0, np.nan, np.inf])
def test_surface_brightness_error_without_a_radius(radius):
    assert np.isnan(surface_brightness_error(0.03, radius, r_eff_err=0.1))


@given(FLUXES, st.floats(1e-6, 1e6), st.floats(1.01, 100))
def test_better_measured_has_smaller_error(flux, ivar, factor):
    assert magnitude_error(flux * factor, ivar) < magnitude_error(flux, ivar)
    assert magnitude_error(flux, ivar * factor) < magnitude_error(flux, ivar)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 60), st.floats(0, 5))
def test_errors_grow_with_their_parts(first, second, radius, more):
    assert color_error(first + more, second) >= color_error(first, second)
    assert color_error(first, second) == color_error(second, first)
    assert surface_brightness_error(first, radius, r_eff_err=second + more) >= (
        surface_brightness_error(first, radius, r_eff_err=second)
    )


def test_coefficients():
    assert get_survey("legacy").extinction == {"g": 3.214, "r": 2.165, "z": 1.211}
    # Extinction falls with wavelength, in the order of the bands.
    for survey in SURVEYS.values():
        coefficients = list(survey.extinction.values())
        assert sorted(coefficients, reverse=True) == coefficients


def test_extinction_and_dereddening_by_hand():
    assert extinction(0.1, "g") == pytest.approx(0.3214)
    assert extinction(0.1, "g", survey="sdss-dr17") == pytest.approx(0.3303)
    assert extinction(0.1, "g", survey="sdss") == pytest.approx(0.3303)
    assert deredden(20.0, 0.1, "r") == pytest.approx(19.7835)
    assert deredden(20 * u.mag, 0.1, "z").unit == u.mag
    assert np.isnan(deredden([20.0], np.ma.array([0.1], mask=[True]), "g")).all()


def test_transmission_and_reddening_agree():
    transmission = 10 ** (-0.4 * extinction(0.1, "r"))
    expected = deredden(22.5 - 2.5 * np.log10(8.0), 0.1, "r")
    assert dereddened_magnitude(8.0, transmission) == pytest.approx(expected)


def test_dereddened_magnitude_by_hand():
    assert dereddened_magnitude(100.0, 1.0) == pytest.approx(17.5)
    assert dereddened_magnitude(1e-7 * u.mgy, 1.0).value == pytest.approx(17.5)
    assert np.isnan(dereddened_magnitude([0.0, -1.0, np.nan, np.inf], 0.9)).all()
    assert np.isnan(dereddened_magnitude(1.0, [0.0, -1.0, np.nan])).all()
    with pytest.raises(u.UnitsError, match="flux"):
        dereddened_magnitude(20 * u.mag, 1.0)


def test_unknown_survey_or_band():
    with pytest.raises(ValueError, match="no survey named 'des': choose one of legacy-dr9, legacy"):
        extinction(0.1, "g", survey="des")
    with pytest.raises(ValueError, match="band 'i' of legacy-dr9: choose one of g, r, z"):
        deredden(20.0, 0.1, "i")
    with pytest.raises(u.UnitsError, match="ebv"):
        extinction(0.1 * u.m, "g")
