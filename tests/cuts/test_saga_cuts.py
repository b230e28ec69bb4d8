"""SAGA's cuts: by hand, at their limits, and properties that hold for any source."""

import math

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.utils.masked import Masked
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shredfinder.cuts import (
    effective_surface_brightness,
    get_preset,
    saga_color_cut,
    saga_cut,
    saga_surface_brightness_cut,
)

MAGS = st.floats(10.0, 26.0)
RADII = st.floats(0.05, 60.0)
ERRORS = st.floats(0.0, 2.0)
ANGLES = st.sampled_from([u.arcsec, u.arcmin, u.deg, u.rad, u.mas])


def rows(size=20):
    def column(low, high):
        return hnp.arrays(float, size, elements=st.floats(low, high))

    return st.tuples(column(12, 26), column(12, 25), column(0.05, 40), column(0, 1), column(0, 1))


def test_surface_brightness_by_hand():
    # 2 pi R^2 = 8 pi = 25.1327 at R = 2"; 2.5 log10 of it is 3.50060.
    assert effective_surface_brightness(20.0, 2.0) == pytest.approx(23.50060, abs=1e-5)
    # The misprinted R instead of R^2 would give 22.748.
    assert effective_surface_brightness(20.0, 1.0) == pytest.approx(
        20 + 2.5 * math.log10(2 * math.pi)
    )
    # Ten times the radius is five magnitudes.
    assert effective_surface_brightness(20.0, 10.0) - effective_surface_brightness(
        20.0, 1.0
    ) == pytest.approx(5.0)


def test_surface_brightness_return_types():
    assert type(effective_surface_brightness(20, 2)) is float
    assert effective_surface_brightness([20.0], 2).shape == (1,)
    quantity = effective_surface_brightness(20 * u.mag, 2 * u.arcsec)
    assert quantity.unit == u.mag / u.arcsec**2
    assert effective_surface_brightness(20 * u.ABmag, 2.0).value == pytest.approx(23.5006, abs=1e-4)


@pytest.mark.parametrize("radius", [0.0, -1.0, np.nan, np.inf])
def test_surface_brightness_of_impossible_radius_is_nan(radius):
    assert np.isnan(effective_surface_brightness(20.0, radius))


@pytest.mark.parametrize(
    ("error", "expected"), [(0.0, False), (0.04, False), (0.06, True), (10.0, True)]
)
def test_surface_brightness_cut_by_hand(error, expected):
    # The line at r = 20 is 18.5 + 0.7 * 6 = 22.7.
    assert saga_surface_brightness_cut(20.0, 22.65, error) is expected


@pytest.mark.parametrize(
    ("g_mag", "error", "expected"),
    [(20.53, 0.0, True), (20.55, 0.0, False), (20.55, 0.02, True), (20.7, 0.1, False)],
)
def test_color_cut_by_hand(g_mag, error, expected):
    # The line at r = 20 is g - r = 0.90 - 0.06 * 6 = 0.54.
    assert saga_color_cut(g_mag, 20.0, error) is expected


def test_points_on_a_line_do_not_pass():
    assert not saga_surface_brightness_cut(14.0, 18.5, 0.0)
    assert not saga_color_cut(14.5, 14.0, 0.0, limit=0.5)
    assert saga_cut(21.0, 21.0, 5.0)  # r = 21.0 itself passes
    assert not saga_cut(21.0, 21.0001, 5.0)


def test_later_selection_differs_from_the_paper():
    later = get_preset("saga-later").saga
    # At r = 20 the paper's line is at 22.7, SAGA's later one at 18.55 + 3.6 = 22.15.
    radius = 10 ** ((22.4 - 20.0) / 5) / math.sqrt(2 * math.pi)
    assert effective_surface_brightness(20.0, radius) == pytest.approx(22.4)
    assert not saga_cut(20.3, 20.0, radius)
    assert saga_cut(20.3, 20.0, radius, **later)


def test_scalar_in_bool_out():
    assert saga_cut(20.3, 20.0, 2.0) is True
    assert saga_cut(np.float32(20.3), np.array(20.0), 2 * u.arcsec) is True
    assert saga_surface_brightness_cut(20.0, 30.0, 0.0) is True


def test_empty_in_empty_out():
    passed = saga_cut([], [], [])
    assert passed.shape == (0,)
    assert passed.dtype == bool


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_never_passes(bad):
    good = {"g_mag": 20.3, "r_mag": 20.0, "r_eff": 2.0, "mu_err": 0.0, "gr_err": 0.0}
    assert saga_cut(**good)
    for name in good:
        assert not saga_cut(**{**good, name: bad})


def test_negative_errors_never_pass():
    assert not saga_cut(20.3, 20.0, 2.0, mu_err=-9999.0)
    assert not saga_cut(20.3, 20.0, 2.0, gr_err=-0.1)


@pytest.mark.parametrize(
    "masked",
    [
        np.ma.array([20.0, 20.0], mask=[False, True]),
        MaskedColumn([20.0, 20.0], mask=[False, True], unit="mag"),
        Masked([20.0, 20.0] * u.mag, mask=[False, True]),
        Masked([20.0, 20.0], mask=[False, True]),
    ],
    ids=["array", "column", "quantity", "masked"],
)
def test_masked_never_passes(masked):
    assert saga_cut([20.3, 20.3], masked, [2.0, 2.0]).tolist() == [True, False]
    mu_eff = np.asarray(effective_surface_brightness(masked, 2.0))
    assert np.isnan(mu_eff).tolist() == [False, True]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("g_mag", 20 * u.arcsec),
        ("r_mag", 20 * u.Jy),
        ("r_eff", 2 * u.pix),
        ("r_eff", 2 * u.kpc),
        ("r_eff", 2 * u.dimensionless_unscaled),
        ("mu_err", 0.1 * u.arcsec),
        ("gr_err", 0.1 * u.m),
        ("r_max", 21 * u.s),
        ("r_eff", Column([2.0], unit="pix")),
        ("r_eff", Column([2.0], unit="parrots")),
    ],
)
@pytest.mark.filterwarnings("ignore:'parrots' did not parse")
def test_error_names_the_argument_of_wrong_unit(name, value):
    good = {"g_mag": 20.3, "r_mag": 20.0, "r_eff": 2.0, "mu_err": 0.0, "gr_err": 0.0}
    with pytest.raises(u.UnitsError, match=name):
        saga_cut(**{**good, name: value})


@pytest.mark.parametrize("value", ["20", None, [20.0, "x"], 1j, [[20.0], [20.0, 21.0]], object()])
def test_error_names_the_argument_that_is_not_numeric(value):
    with pytest.raises(TypeError, match="g_mag"):
        saga_cut(value, 20.0, 2.0)


def test_thresholds_are_single_values():
    with pytest.raises(TypeError, match="r_max"):
        saga_cut(20.3, 20.0, 2.0, r_max=[20, 21])


def test_inputs_are_unchanged():
    g_mag, r_mag, r_eff = np.array([20.3]), np.array([20.0]), np.array([2.0]) * u.arcmin
    saga_cut(g_mag, r_mag, r_eff)
    assert (g_mag[0], r_mag[0], r_eff[0]) == (20.3, 20.0, 2.0 * u.arcmin)


def test_shapes_broadcast():
    assert saga_cut(np.full((3, 1), 20.3), np.full(4, 20.0), 2.0).shape == (3, 4)
    with pytest.raises(ValueError, match="broadcast"):
        saga_cut([20.3, 20.3], [20.0, 20.0, 20.0], 2.0)


@given(MAGS, MAGS, RADII, ERRORS, ERRORS, st.floats(0, 3))
def test_more_error_never_removes(g_mag, r_mag, r_eff, mu_err, gr_err, more):
    before = saga_cut(g_mag, r_mag, r_eff, mu_err=mu_err, gr_err=gr_err)
    after = saga_cut(g_mag, r_mag, r_eff, mu_err=mu_err + more, gr_err=gr_err + more)
    assert after >= before


@given(MAGS, MAGS, RADII, st.floats(0, 5))
def test_redder_never_passes_more(g_mag, r_mag, r_eff, redder):
    assert saga_cut(g_mag + redder, r_mag, r_eff) <= saga_cut(g_mag, r_mag, r_eff)


@given(MAGS, MAGS, RADII, st.floats(1.0, 10.0))
def test_larger_never_removes(g_mag, r_mag, r_eff, factor):
    assert saga_cut(g_mag, r_mag, r_eff * factor) >= saga_cut(g_mag, r_mag, r_eff)


@given(MAGS, st.floats(15, 30), ERRORS, st.floats(0, 5))
def test_fainter_source_of_the_same_surface_brightness_passes_less(r_mag, mu_eff, error, fainter):
    brighter = saga_surface_brightness_cut(r_mag, mu_eff, error)
    assert saga_surface_brightness_cut(r_mag + fainter, mu_eff, error) <= brighter


@given(rows(), st.randoms(use_true_random=False))
def test_row_order_does_not_matter(columns, random):
    order = list(range(20))
    random.shuffle(order)
    g_mag, r_mag, r_eff, mu_err, gr_err = columns
    whole = saga_cut(g_mag, r_mag, r_eff, mu_err=mu_err, gr_err=gr_err)
    shuffled = saga_cut(
        g_mag[order], r_mag[order], r_eff[order], mu_err=mu_err[order], gr_err=gr_err[order]
    )
    assert (shuffled == whole[order]).all()


@given(rows())
def test_scalar_equals_array(columns):
    g_mag, r_mag, r_eff, mu_err, gr_err = columns
    whole = saga_cut(g_mag, r_mag, r_eff, mu_err=mu_err, gr_err=gr_err)
    one_by_one = [
        saga_cut(g, r, radius, mu_err=mu, gr_err=gr)
        for g, r, radius, mu, gr in zip(*columns, strict=True)
    ]
    assert whole.tolist() == one_by_one


@given(MAGS, RADII, ANGLES)
def test_unit_does_not_matter(r_mag, r_eff, unit):
    plain = effective_surface_brightness(r_mag, r_eff)
    quantity = effective_surface_brightness(r_mag * u.mag, (r_eff * u.arcsec).to(unit))
    assert quantity.value == pytest.approx(plain, abs=1e-9)


@given(rows())
def test_table_equals_columns(columns):
    g_mag, r_mag, r_eff, mu_err, gr_err = columns
    names = ["g", "r", "radius", "mu_err", "gr_err"]
    plain = saga_cut(g_mag, r_mag, r_eff, mu_err=mu_err, gr_err=gr_err)
    table = Table(columns, names=names, units=["mag", "mag", "arcsec", "mag", "mag"])
    for kind in (table, QTable(table), Table(table, masked=True)):
        passed = saga_cut(
            kind["g"], kind["r"], kind["radius"], mu_err=kind["mu_err"], gr_err=kind["gr_err"]
        )
        assert (passed == plain).all()


@pytest.mark.parametrize("unit", ["ARCSEC", "[arcsec]", "arcseconds", "Arcsec"])
def test_units_in_usual_spellings(unit):
    radius = Column([2.0], unit=u.Unit(unit, parse_strict="silent"))
    magnitude = Column([20.0], unit=u.Unit("MAG", parse_strict="silent"))
    found = effective_surface_brightness(magnitude, radius)
    assert found[0] == effective_surface_brightness(20.0, 2.0)
