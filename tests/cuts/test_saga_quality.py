"""The quality flags of SAGA's third data release."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table

from shredfinder.cuts import (
    CutPreset,
    candidate_cut,
    quality_cut,
    saga_dr3_quality_cut,
)


def make(**changes):
    """Arguments of one good galaxy, S/N 30 in all bands, with changes."""
    good = {
        "type": "EXP", "shape_r": 2.0, "r_mag": 20.0, "flux": [30.0, 30.0, 30.0],
        "flux_ivar": [1.0, 1.0, 1.0], "allmask": [0, 0, 0], "fracflux": [0.1, 0.1, 0.1],
        "rchisq": [1.0, 1.0, 1.0],
    }  # fmt: skip
    return good | changes


def failed(**changes):
    found = saga_dr3_quality_cut(**make(**changes))
    return [name for name, met in found.criteria.items() if not met]


STAR = {"shape_r": 0.9, "r_mag": 16.9, "proper_motion": 2.0}


@pytest.mark.parametrize(
    ("changes", "criteria"),
    [
        ({}, []),
        ({"type": "PSF"}, ["type"]),
        ({"type": b"DUP "}, ["type"]),
        ({"type": ""}, ["type"]),
        (STAR, ["star"]),
        (STAR | {"shape_r": 1.0 * u.arcsec}, []),
        (STAR | {"r_mag": 17.0}, []),
        (STAR | {"proper_motion": 1.9}, []),
        (STAR | {"proper_motion": np.nan}, []),
        # The median: one band of three may be masked.
        ({"allmask": [2, 0, 0]}, []),
        ({"allmask": [2, 4, 0]}, ["allmask"]),
        ({"flux": [30, 0, 30]}, ["flux_r"]),
        ({"flux": [30, np.nan, 30]}, ["flux_r"]),
        ({"flux": [0, 30, 30]}, []),
        ({"flux": [0, 30, -1]}, ["flux_gz"]),
        ({"fracflux": [0.1, 0.1, 2.0]}, []),
        ({"fracflux": [0.1, 0.1, 2.1]}, ["fracflux"]),
        ({"fracflux": [0.1, 0.1, np.nan]}, ["fracflux"]),
        ({"fracflux": [0.1, 0.1, 2.1], "flux": [5, 60, 5]}, []),
        ({"flux": [19.9, 19.9, 19.9]}, ["signal"]),
        ({"flux": [19.9, 20.0, 19.9]}, []),
        # A bad fit is no signal.
        ({"rchisq": [100, 100, 100]}, ["signal"]),
        ({"rchisq": [99, 100, np.nan]}, []),
        ({"flux_ivar": [0, 0, 0]}, ["signal"]),
        ({"flux": [1, 1, 1], "wise_flux": [20, 0, 0, 0], "wise_flux_ivar": [1] * 4,
          "wise_rchisq": [1] * 4}, []),
        # Infrared light does not make a blend harmless.
        ({"fracflux": [0.1, 0.1, 2.1], "wise_flux": [90, 0, 0, 0], "wise_flux_ivar": [1] * 4,
          "wise_rchisq": [1] * 4}, ["fracflux"]),
        ({"type": "PSF", "flux": [-1, -1, -1], "allmask": [2, 2, 2], "ref_cat": "L3"}, []),
        ({"type": "PSF", "ref_cat": "G2"}, ["type"]),
    ],
)  # fmt: skip
def test_each_criterion(changes, criteria):
    assert failed(**changes) == criteria


def test_missing_values_do_not_pass():
    masked = np.ma.array([0, 0, 0], mask=[True, True, False])
    assert failed(allmask=masked) == ["allmask"]
    assert not saga_dr3_quality_cut(**make(flux=[np.nan] * 3)).passed


def test_bad_arguments():
    with pytest.raises(ValueError, match="bands must include g, r and z: got g, r, i"):
        saga_dr3_quality_cut(**make(), bands=("g", "r", "i"))
    with pytest.raises(u.UnitsError, match="shape_r must be in arcsec"):
        saga_dr3_quality_cut(**make(shape_r=2 * u.kpc))


@pytest.fixture
def table():
    n = 4
    table = Table({"TYPE": ["EXP", "PSF", "EXP", "SER"], "SHAPE_R": [2.0, 0.0, 0.5, 3.0]})
    table["SHAPE_R_IVAR"] = 400.0
    table["REF_CAT"] = ["", "", "", "L3"]
    for band in "GRZ":
        table[f"FLUX_{band}"] = [10.0, 10.0, 200.0, 10.0]
        table[f"FLUX_IVAR_{band}"] = [100.0, 100.0, 100.0, 1e-4]
        table[f"MW_TRANSMISSION_{band}"] = 0.9
        table[f"ALLMASK_{band}"] = np.zeros(n, dtype=np.int16)
        # The paper's cuts remove large RCHISQ.
        table[f"FRACFLUX_{band}"], table[f"RCHISQ_{band}"] = 0.1, [50.0, 1.0, 1.0, 1.0]
    return table


def test_preset_on_tables(table):
    result = quality_cut(table, preset="saga-dr3")
    assert result.passed.tolist() == [True, False, True, True]
    # A fainter limit of the flags.
    assert quality_cut(table, preset="saga-dr3", min_signal=150).passed.tolist()[0] is False
    # The third is a star by its proper motion.
    table["PMRA"], table["PMRA_IVAR"] = [0.1, 0.1, -9.0, 0.1] * u.mas / u.yr, 1.0
    table["PMDEC"] = MaskedColumn([0.0] * 4, mask=[True] * 4)
    table["PMDEC_IVAR"] = 1.0
    table["FLUX_R"][2] = 1000.0
    assert quality_cut(table, preset="saga-dr3").criteria["star"].tolist() == [1, 1, 0, 1]
    # Signal in WISE only.
    table["FLUX_IVAR_G"] = table["FLUX_IVAR_R"] = table["FLUX_IVAR_Z"] = 1e-4
    assert not quality_cut(table, preset="saga-dr3").criteria["signal"][:3].any()
    for band in range(1, 5):
        table[f"FLUX_W{band}"], table[f"FLUX_IVAR_W{band}"] = 500.0, 1.0
        table[f"RCHISQ_W{band}"] = 1.0
    assert quality_cut(table, preset="saga-dr3").criteria["signal"].all()


def test_preset_has_the_later_saga_cut(table):
    names = list(candidate_cut(table, preset="saga-dr3").criteria)
    assert names[-4:] == ["signal", "r_mag", "surface_brightness", "color"]


def test_criteria_of_presets(table):
    preset = CutPreset("mine", "", "", quality={"legacy": {"min_signal": 1e6}},
                       criteria={"legacy": "saga-dr3"})  # fmt: skip
    assert quality_cut(table, preset=preset).n_removed["signal"] == 3
    with pytest.raises(ValueError, match="unknown criteria 'saga-dr9': choose one of legacy, saga"):
        quality_cut(table, preset=CutPreset("mine", "", "", criteria={"legacy": "saga-dr9"}))
