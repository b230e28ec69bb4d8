"""The registry of surveys, and the code that reads it."""

import inspect
from dataclasses import replace

import pytest
from astropy.table import Table

from shredfinder._utils.columns import find_column
from shredfinder.cutouts import LegacyViewer
from shredfinder.cuts import (
    candidate_cut,
    deredden,
    legacy_quality_cut,
    ps1_quality_cut,
    saga_cut,
    sdss_quality_cut,
)
from shredfinder.surveys import (
    COLOR_MAPPINGS,
    DEFAULT_SURVEY,
    LEGACY,
    PS1,
    SAGA_THRESHOLDS,
    SDSS,
    SURVEYS,
    ColorMapping,
    Survey,
    get_catalog_preset,
    get_survey,
    get_wavelength,
    register_survey,
)


@pytest.fixture
def registry():
    """Restore the registries after a test that adds to them."""
    before = [(registered, dict(registered)) for registered in (SURVEYS, COLOR_MAPPINGS)]
    yield
    for registered, items in before:
        registered.clear()
        registered.update(items)


def test_names_and_aliases():
    assert set(SURVEYS) == {"legacy-dr9", "sdss-dr17", "ps1-dr2"}
    for alias, survey in (("legacy", LEGACY), ("sdss", SDSS), ("ps1", PS1)):
        assert get_survey(alias) is get_survey(survey.name) is survey
        assert get_catalog_preset(alias) is survey.catalog
        assert survey.catalog.survey == survey.name
    assert get_survey(DEFAULT_SURVEY) is LEGACY
    for name in ("vlt", "", None, ["sdss"]):
        with pytest.raises(
            ValueError, match=r"no survey named .*: choose one of legacy-dr9, legacy"
        ):
            get_survey(name)


def test_thresholds_are_the_defaults_of_the_cuts():
    for function, thresholds in (
        (legacy_quality_cut, LEGACY.quality),
        (sdss_quality_cut, SDSS.quality),
        (ps1_quality_cut, PS1.quality),
        (saga_cut, SAGA_THRESHOLDS),
    ):
        parameters = inspect.signature(function).parameters
        assert {name: parameters[name].default for name in thresholds} == thresholds


def test_bands_are_known_everywhere():
    for survey in SURVEYS.values():
        assert set(survey.bands) | set(survey.catalog.bands) <= set(survey.extinction)
        assert all(get_wavelength(band) for band in survey.extinction)
    with pytest.raises(ValueError, match="wavelength of band 'w1' is unknown"):
        get_wavelength("w1")


@pytest.mark.parametrize(
    ("layer", "mapping"),
    [
        ("ls-dr9-south", "legacy-grz"),
        ("ls-dr11", "legacy-grz"),
        ("ls-dr10", "legacy-griz"),
        ("hsc-dr3", "viewer-hsc-dr3"),
    ],
)
def test_colors_of_viewer_layers(layer, mapping):
    viewer = LegacyViewer(layer=layer)
    assert viewer.color_mapping == mapping
    assert (viewer.bands == LEGACY.bands) is (mapping == "legacy-grz")


def test_registered_survey(registry):
    catalog = replace(LEGACY.catalog, survey="mine", names={**LEGACY.catalog.names, "ebv": "dust"})
    mapping = ColorMapping("mine-grz", ("z", "r", "g"), (1.0, 2.0, 3.0), 0.0, 10.0, 0.2)
    mine = replace(
        LEGACY,
        name="mine",
        aliases=("my",),
        catalog=catalog,
        quality={**LEGACY.quality, "min_shape_r": 2.0},
        extinction={"g": 3.0, "r": 2.0, "z": 1.0},
        color_mappings=(mapping,),
    )
    assert register_survey(mine) is get_survey("my")
    assert COLOR_MAPPINGS["mine-grz"] is mapping
    assert deredden(20.0, 0.1, "r", survey="my") == pytest.approx(19.8)
    table = Table({"type": ["EXP", "EXP"], "shape_r": [1.9, 2.1], "shape_r_ivar": [400.0] * 2})
    table["dust"] = 0.0
    for band, flux in (("g", 7.5), ("r", 10.0), ("z", 12.0)):
        table[f"flux_{band}"], table[f"flux_ivar_{band}"] = flux, 100.0
        table[f"nobs_{band}"], table[f"allmask_{band}"] = 3, 0
        table[f"fracmasked_{band}"], table[f"fracflux_{band}"] = 0.01, 0.1
        table[f"fracin_{band}"], table[f"rchisq_{band}"] = 0.95, 1.1
    assert candidate_cut(table, "my").criteria["shape_r"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "already a survey named legacy, legacy-dr9"),
        ({"name": "legacy"}, "already a survey named legacy"),
        ({"name": "mine", "aliases": ("sdss",)}, "already a survey named sdss"),
        ({"name": "mine", "aliases": ()}, "the catalogue of 'mine' belongs to 'legacy-dr9'"),
    ],
)
def test_conflicting_surveys_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        register_survey(replace(LEGACY, **changes))


def test_a_survey_without_a_catalogue(registry):
    register_survey(Survey("mine", ("r",), 0.5, 0.5, 64, None, "fits", ""))
    with pytest.raises(ValueError, match="no source catalogue is known for the survey 'mine'"):
        get_catalog_preset("mine")
    with pytest.raises(ValueError, match="no extinction coefficient is known for band 'r' of mine"):
        deredden(20.0, 0.1, "r", survey="mine")


def test_presets_have_the_same_repr_in_every_process():
    # Runs are resumed if the repr is unchanged: it contains no address.
    assert not any(" at 0x" in repr(survey.catalog) for survey in SURVEYS.values())


def test_columns_by_name():
    table = Table({"RA": [1.0], "ra": [2.0], "Dec": [3.0]})
    assert find_column(table, "ra") == "ra"
    assert find_column(table, "DEC") == "Dec"
    assert find_column(table, "z", required=False) is None
    with pytest.raises(KeyError, match="several columns"):
        find_column(table, "Ra")
    with pytest.raises(KeyError, match=r"its columns are \(none\)"):
        find_column(Table(), "ra")
