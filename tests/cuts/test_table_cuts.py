"""Cuts on tables agree with the pure functions, whatever the form of the table."""

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable, Table
from hypothesis import given, settings
from hypothesis import strategies as st

from shredfinder.cuts import (
    CUT_PRESETS,
    CutPreset,
    candidate_cut,
    color_error,
    deredden,
    effective_surface_brightness,
    get_preset,
    legacy_quality_cut,
    magnitude_error,
    photometry,
    quality_cut,
    register_preset,
    saga_cut,
    surface_brightness_error,
)
from shredfinder.surveys import get_catalog_preset

N = 400


@pytest.fixture
def legacy():
    rng = np.random.default_rng(3)
    table = Table(
        {
            "TYPE": rng.choice(["PSF", "DUP", "EXP", "SER", "REX"], N, p=[0.1, 0.1, 0.3, 0.3, 0.2]),
            "SHAPE_R": np.where(rng.random(N) < 0.1, 0.0, rng.uniform(0.2, 8.0, N)),
            "SHAPE_R_IVAR": rng.uniform(1.0, 1e4, N),
        }
    )
    for band in "GRZ":
        table[f"FLUX_{band}"] = rng.uniform(-0.2, 30.0, N)
        table[f"FLUX_IVAR_{band}"] = rng.uniform(0.0, 400.0, N)
        table[f"MW_TRANSMISSION_{band}"] = rng.uniform(0.7, 1.0, N)
        table[f"NOBS_{band}"] = rng.integers(0, 8, N)
        table[f"ALLMASK_{band}"] = (rng.random(N) < 0.05).astype(np.int16)
        table[f"FRACMASKED_{band}"] = rng.uniform(0.0, 0.4, N)
        table[f"FRACFLUX_{band}"] = rng.uniform(0.0, 4.5, N)
        table[f"RCHISQ_{band}"] = rng.uniform(0.5, 11.0, N)
        table[f"FRACIN_{band}"] = rng.uniform(0.4, 1.0, N)
    return table


@pytest.fixture
def sdss():
    return make_sdss()


def make_sdss():
    rng = np.random.default_rng(4)
    table = Table(
        {
            "type": rng.choice([3, 6], N, p=[0.9, 0.1]),
            "flags_r": np.where(rng.random(N) < 0.1, 0x10040000, 0x10000000),
            "petroR50_r": rng.uniform(0.5, 5.0, N),
            "petroR50Err_r": rng.uniform(0.01, 0.5, N),
        }
    )
    for band in "gri":
        table[f"modelMag_{band}"] = rng.uniform(17.0, 22.0, N)
        table[f"modelMagErr_{band}"] = rng.uniform(0.0, 0.8, N)
        table[f"extinction_{band}"] = rng.uniform(0.0, 0.3, N)
    return table


@pytest.fixture
def ps1():
    rng = np.random.default_rng(5)
    table = Table(
        {
            "qualityFlag": rng.choice([52, 180, 60], N),
            "nDetections": rng.integers(0, 40, N),
            "primaryDetection": rng.integers(0, 2, N),
            "iPSFMag": rng.uniform(18.0, 21.0, N),
            "rpetR50": rng.uniform(0.5, 5.0, N),
            "rpetR50Err": rng.uniform(0.01, 0.5, N),
            "ebv": rng.uniform(0.0, 0.1, N),
        }
    )
    for band in "gri":
        table[f"{band}KronMag"] = rng.uniform(17.0, 21.0, N)
        table[f"{band}KronMagErr"] = rng.uniform(0.0, 0.25, N)
    return table


def test_legacy_table_equals_columns(legacy):
    def bands(name):
        return {band: legacy[f"{name}_{band.upper()}"] for band in "grz"}

    flux, ivar, through = bands("FLUX"), bands("FLUX_IVAR"), bands("MW_TRANSMISSION")
    with np.errstate(invalid="ignore"):
        mags = {b: 22.5 - 2.5 * np.log10(np.array(flux[b] / through[b])) for b in "grz"}
    errors = {b: magnitude_error(flux[b], ivar[b]) for b in "grz"}
    expected = legacy_quality_cut(
        type=legacy["TYPE"],
        shape_r=legacy["SHAPE_R"],
        dered_mag=mags,
        mag_err=errors,
        **{
            name: bands(name.upper())
            for name in ("nobs", "allmask", "fracmasked", "fracflux", "rchisq", "fracin")
        },
    )
    result = quality_cut(legacy)
    assert result.criteria.keys() == expected.criteria.keys()
    for name, met in expected.criteria.items():
        assert (result.criteria[name] == met).all(), name
    saga = saga_cut(
        mags["g"],
        mags["r"],
        legacy["SHAPE_R"],
        mu_err=surface_brightness_error(
            errors["r"], legacy["SHAPE_R"], r_eff_ivar=legacy["SHAPE_R_IVAR"]
        ),
        gr_err=color_error(errors["g"], errors["r"]),
    )
    whole = candidate_cut(legacy)
    assert (whole.passed == (saga & expected.passed)).all()
    parts = [whole.criteria[name] for name in ("r_mag", "surface_brightness", "color")]
    assert (np.logical_and.reduce(parts) == saga).all()
    assert 0 < saga.sum() < N


def test_legacy_magnitudes_from_three_sources(legacy):
    fluxes = photometry(legacy)["mag"]
    database = legacy.copy()
    for band in "grz":
        database.remove_column(f"MW_TRANSMISSION_{band.upper()}")
        database[f"dered_mag_{band}"] = fluxes[band]
    for band in "grz":
        assert np.array_equal(photometry(database)["mag"][band], fluxes[band], equal_nan=True)
    reddening = legacy.copy()
    reddening["EBV"] = 0.05
    for band in "GRZ":
        reddening.remove_column(f"MW_TRANSMISSION_{band}")
        legacy[f"MW_TRANSMISSION_{band}"] = 1.0
    expected = deredden(photometry(legacy)["mag"]["g"], 0.05, "g")
    np.testing.assert_allclose(photometry(reddening)["mag"]["g"], expected)


def test_photometry_agrees_with_the_functions(sdss):
    found = photometry(sdss, "sdss-dr17")
    r_mag = np.array(sdss["modelMag_r"] - sdss["extinction_r"])
    np.testing.assert_allclose(found["mag"]["r"], r_mag)
    np.testing.assert_allclose(
        found["mu_eff"], effective_surface_brightness(r_mag, sdss["petroR50_r"])
    )
    np.testing.assert_allclose(
        found["mu_err"],
        np.hypot(sdss["modelMagErr_r"], 2.17147 * sdss["petroR50Err_r"] / sdss["petroR50_r"]),
        rtol=1e-5,
    )
    assert set(found["mag"]) == {"g", "r", "i"}


def test_missing_values_never_pass(sdss, ps1):
    kept = np.flatnonzero(candidate_cut(sdss, "sdss-dr17").passed)
    assert kept.size > 5
    for row, name in zip(
        kept,
        ("modelMag_g", "modelMag_r", "petroR50_r", "petroR50Err_r", "modelMagErr_r"),
        strict=False,
    ):
        sdss[name][row] = -9999.0
    after = candidate_cut(sdss, "sdss-dr17").passed
    assert not after[kept[:5]].any()
    assert after[kept[5:]].all()
    kept = np.flatnonzero(candidate_cut(ps1, "ps1-dr2").passed)
    assert kept.size > 2
    ps1["rKronMag"][kept[0]] = -999.0
    ps1["rpetR50"][kept[1]] = -999.0
    assert candidate_cut(ps1, "ps1-dr2").passed[kept[:3]].tolist() == [False, False, True]


def test_sdss_prefers_dereddened_columns(sdss):
    for band in "gri":
        sdss[f"dered_{band}"] = 19.0
    assert (photometry(sdss, "sdss-dr17")["mag"]["g"] == 19.0).all()


def test_ps1_needs_reddening(ps1):
    np.testing.assert_allclose(
        photometry(ps1, "ps1-dr2")["mag"]["r"], ps1["rKronMag"] - 2.271 * ps1["ebv"]
    )
    ps1.remove_column("ebv")
    with pytest.raises(KeyError, match="ebv"):
        quality_cut(ps1, "ps1-dr2")


@pytest.mark.parametrize(
    "name", ["TYPE", "SHAPE_R", "RCHISQ_Z", "FLUX_IVAR_R", "MW_TRANSMISSION_G", "ALLMASK_Z"]
)
def test_missing_column_is_named(legacy, name):
    legacy.remove_column(name)
    with pytest.raises(KeyError, match=name.lower()):
        quality_cut(legacy)


def test_preset_without_rchisq_does_not_need_the_column(legacy):
    looser = quality_cut(legacy, preset="paper-no-rchisq")
    assert looser.passed.sum() > quality_cut(legacy).passed.sum()
    for band in "GRZ":
        legacy.remove_column(f"RCHISQ_{band}")
    assert (quality_cut(legacy, preset="paper-no-rchisq").passed == looser.passed).all()


def test_thresholds_take_precedence_over_the_preset(legacy):
    strict = quality_cut(legacy, preset="paper-no-rchisq", max_rchisq=5.0)
    assert "rchisq" in strict.criteria
    assert "rchisq_any" not in strict.criteria


def test_kinds_of_tables(legacy):
    expected = candidate_cut(legacy).passed
    lower = Table(legacy, names=[name.lower() for name in legacy.colnames])
    units = QTable(legacy)
    units["SHAPE_R"] = (units["SHAPE_R"] * u.arcsec).to(u.arcmin)
    units["SHAPE_R_IVAR"] = units["SHAPE_R_IVAR"] * u.arcsec**-2
    for band in "GRZ":
        units[f"FLUX_{band}"] = units[f"FLUX_{band}"] * u.nmgy
        units[f"FLUX_IVAR_{band}"] = units[f"FLUX_IVAR_{band}"] * u.nmgy**-2
    masked = Table(legacy, masked=True)
    for table in (lower, units, masked, legacy.as_array()):
        assert (candidate_cut(table).passed == expected).all()
    row = int(np.flatnonzero(expected)[0])
    masked["FLUX_G"].mask[row] = True
    assert not candidate_cut(masked).passed[row]
    legacy.remove_rows(slice(None))
    assert candidate_cut(legacy).passed.shape == (0,)


def test_presets():
    assert list(CUT_PRESETS)[:3] == ["paper", "paper-no-rchisq", "saga-later"]
    assert get_preset("paper").saga == {}
    preset = CutPreset("mine", "", "")
    assert get_preset(preset) is preset
    with pytest.raises(ValueError, match="no cut preset named 'nope'"):
        get_preset("nope")
    with pytest.raises(ValueError, match="named 'paper'"):
        register_preset(CutPreset("paper", "", ""))


def test_presets_change_the_saga_cut(sdss):
    paper = candidate_cut(sdss, "sdss-dr17").criteria["surface_brightness"]
    later = candidate_cut(sdss, "sdss-dr17", preset="saga-later").criteria["surface_brightness"]
    assert later.sum() > paper.sum()


def test_surveys_by_alias(sdss):
    expected = candidate_cut(sdss, "sdss-dr17").passed
    for survey in ("sdss", get_catalog_preset("sdss")):
        assert (candidate_cut(sdss, survey).passed == expected).all()
    loose = CutPreset("loose", "", "", quality={"sdss": {"max_mag_err": None}})
    assert "mag_err" not in quality_cut(sdss, "sdss-dr17", preset=loose).criteria
    with pytest.raises(ValueError, match="no survey named 'des'"):
        candidate_cut(Table(), "des")


def test_a_catalogue_with_other_column_names(sdss):
    expected = candidate_cut(sdss, "sdss").passed
    mirror = get_catalog_preset("sdss")
    mirror = replace(mirror, names={**mirror.names, "petro_r50": "half_light_radius"})
    sdss.rename_column("petroR50_r", "half_light_radius")
    assert (candidate_cut(sdss, mirror).passed == expected).all()


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_rows_are_independent(data):
    # Any rows of a table, in any order, with any column masked.
    table = make_sdss()
    rows = data.draw(st.lists(st.integers(0, N - 1), min_size=1, max_size=20, unique=True))
    part = Table(table[rows], masked=True)
    name = data.draw(st.sampled_from([n for n in table.colnames if n != "flags_r"]))
    part[name].mask[0] = True
    whole = candidate_cut(table, "sdss-dr17").passed[rows]
    cut = candidate_cut(part, "sdss-dr17").passed
    assert cut[1:].tolist() == whole[1:].tolist()
    assert not (cut & ~whole).any()
