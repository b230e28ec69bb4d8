"""Fields with the catalogue of a simulated deblender."""

import numpy as np
import pytest

from shredfinder.datasets import make_field, make_shredded_field


@pytest.fixture(scope="module")
def field():
    return make_shredded_field(640, 2, n_dwarfs=1, n_pairs=1, random_state=1)


def test_fluxes_of_the_entries_add_up_to_the_galaxy(field):
    sources, galaxies = field.sources, field.galaxies
    shreds = np.asarray(sources["label"]) == "shred"
    lost = 0
    for galaxy in galaxies:
        rows = np.asarray(sources["galaxy_id"]) == galaxy["galaxy_id"]
        total = 22.5 - 2.5 * np.log10(np.asarray(sources["flux_r"])[rows].sum())
        error = 1.09 / (
            np.asarray(sources["flux_r"])[rows].sum()
            * np.sqrt(1 / (1 / np.asarray(sources["flux_ivar_r"])[rows]).sum())
        )
        assert total == pytest.approx(galaxy["r"], abs=0.01 + 5 * error)
        # The entry that is not a piece has the galaxy's identifier.
        assert (rows & ~shreds).sum() == (1 if galaxy["catalogued"] else 0)
        lost += not galaxy["catalogued"]
    assert lost
    assert set(sources["galaxy_id"]) == set(galaxies["galaxy_id"])


def test_nuclei_lack_the_light_of_the_pieces(field):
    sources, galaxies = field.sources, field.galaxies
    hosts = galaxies[np.isin(galaxies["type"], ["host", "pair"])]
    order = np.searchsorted(
        sources["objID"], hosts["galaxy_id"], sorter=np.argsort(sources["objID"])
    )
    rows = np.argsort(sources["objID"])[order]
    assert np.median(sources["r"][rows] - hosts["r"]) > 0.3


def test_field_is_reproducible_and_has_all_kinds(field):
    again = make_shredded_field(640, 2, n_dwarfs=1, n_pairs=1, random_state=1)
    np.testing.assert_array_equal(field.fluxes, again.fluxes)
    assert field.sources["flux_r"].tolist() == again.sources["flux_r"].tolist()
    assert {"host", "dwarf", "pair", "background"} <= set(field.galaxies["type"].tolist())
    assert field.cutouts().good.all()
    assert make_field(256, 1, random_state=1).galaxies is None


@pytest.mark.parametrize("wrong", [{"size": 100}, {"n_hosts": -1}, {"n_dwarfs": 1.5}])
def test_wrong_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_shredded_field(**wrong)
