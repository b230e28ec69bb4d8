import numpy as np
import pytest
from astropy import units as u

from shredfinder.cuts import (
    deredden,
    dereddened_magnitude,
    extinction,
)
from shredfinder.surveys import SURVEYS, get_survey


def test_coefficients():
    assert get_survey("legacy").extinction == {"g": 3.214, "r": 2.165, "z": 1.211}
    # Extinction falls with wavelength, in the order in which the bands are written.
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
