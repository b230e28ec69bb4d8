"""Parents of shreds, and catalogues with one row per galaxy."""

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table
from hypothesis import given, settings
from hypothesis import strategies as st

from shredfinder import Cutouts, ShredTable
from shredfinder.cuts import photometry
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts import find_parents, merge_shreds

# A galaxy with two shreds, a pair of orphans, and a lone galaxy. Fluxes in nanomaggies.
FLUX = np.array([100.0, 40.0, -2.0, 3.0, 1.0, 5.0])
KINDS = ["self", "row", "row", "orphan", "orphan", "self"]


def make_table(cls=Table, **columns):
    table = cls(
        {
            "objID": [11, 12, 13, 14, 15, 16],
            "ra": np.array([150.0, 150.002, 149.999, 150.1, 150.1008, 150.2]) * u.deg,
            "dec": np.array([2.0, 2.0, 2.001, 2.0, 2.0, 2.0]) * u.deg,
            "shape_r": np.array([6.0, 1.0, 1.0, 2.0, 2.0, 1.0]) * u.arcsec,
            "p_cnn": np.array([0.02, 0.97, 0.9, 0.8, 0.7, 0.1], dtype=np.float32),
        }
    )
    for band, factor in (("g", 0.5), ("r", 1.0), ("z", 1.5)):
        table[f"flux_{band}"] = factor * FLUX
        table[f"flux_ivar_{band}"] = [4.0, 1.0, 1.0, 1.0, 0.25, 1.0]
        table[f"mw_transmission_{band}"] = [0.9, 0.9, 0.9, 0.8, 0.8, 0.95]
    for name, values in columns.items():
        table[name] = values
    return table


def names_of(merged):
    """Identifiers that a merged table names, row by row."""
    names = []
    for row in merged:
        shreds = [name for name in str(row["shred_ids"]).split(";") if name]
        names.append({str(row["objID"]), *shreds})
    return names


# Parents


def test_parents_of_a_simple_field():
    parents = find_parents(make_table())
    assert parents["parent_kind"].tolist() == KINDS
    assert parents["parent_id"].tolist() == [11, 11, 11, 14, 14, 16]
    assert parents["parent_index"].tolist() == [0, 0, 0, 3, 3, 5]
    confidence = np.asarray(parents["parent_confidence"])
    assert ((confidence >= 0) & (confidence <= 1)).all()
    assert confidence[0] == pytest.approx(0.98)


def test_parents_do_not_depend_on_the_order_of_rows():
    pytest.importorskip("photutils")
    from shredfinder.datasets import make_shredded_field

    field = make_shredded_field(512, n_hosts=3, n_dwarfs=1, n_pairs=1, random_state=4)
    table = field.sources
    table["p_cnn"] = np.where(table["label"] == "shred", 0.9, 0.1)
    cutouts = field.cutouts()
    rng = np.random.default_rng(1)
    for images in (None, cutouts):
        expected = find_parents(table, images)
        by_id = dict(zip(expected["id"], expected["parent_id"], strict=True))
        for _ in range(2):
            order = rng.permutation(len(table))
            shuffled = None if images is None else images[order]
            found = find_parents(table[order], shuffled)
            assert dict(zip(found["id"], found["parent_id"], strict=True)) == by_id


def test_parents_from_the_light_in_cutouts():
    pytest.importorskip("photutils")
    # Two round discs side by side: a shred near their middle belongs to the one that touches it.
    table = Table(
        {
            "objID": [1, 2, 3],
            "ra": [150.0, 150.0 - 20 / 3600, 150.0 - 8 / 3600],
            "dec": [0.0, 0.0, 0.0],
            "flux_r": [100.0, 1000.0, 1.0],
            "radius": [3.0, 3.0, 0.5],
            "p_cnn": [0.0, 0.0, 0.9],
        }
    )
    images = np.zeros((3, 128, 128, 1), dtype=np.float32)
    y, x = np.indices((128, 128))
    # West is right: relative to the shred, the galaxies are at -8″ and +12″.
    for offset, radius in ((-8, 9.0), (12, 8.0)):
        inside = np.hypot(x - 63.5 - offset / 0.46875, y - 63.5) < radius / 0.46875
        images[:, inside] = 0.02
    images += 1e-5 * np.random.default_rng(1).standard_normal(images.shape)
    facts = {"pixel_scale": 0.46875, "bands": ["r"], "color_mapping": "flux"}
    found = find_parents(table, Cutouts(images, **facts))
    assert found["parent_id"].tolist()[2] == 1
    # The catalogue alone prefers the brighter one.
    assert find_parents(table)["parent_id"].tolist()[2] == 2


def make_disc_cutouts(east, north, discs):
    """Cutouts in r of round, flat discs: (east, north, radius) in arcsec, and nanomaggies."""
    y, x = np.indices((128, 128))
    noise = 1e-5 * np.random.default_rng(1).standard_normal((128, 128))
    images = np.zeros((len(east), 128, 128, 1), dtype=np.float32)
    for image, x0, y0 in zip(images, east, north, strict=True):
        image[..., 0] = noise
        for e, n, radius, height in discs:
            # North is up and east is left.
            apart = np.hypot(x - 63.5 + (e - x0) / 0.46875, y - 63.5 + (n - y0) / 0.46875)
            image[apart < radius / 0.46875] += height
    return Cutouts(images, pixel_scale=0.46875, bands=["r"], color_mapping="flux")


def make_disc_table(east, north, **columns):
    return Table({"ra": 150.0 + np.array(east) / 3600, "dec": np.array(north) / 3600, **columns})


def test_outer_pieces_of_a_large_disc_belong_to_its_nucleus():
    pytest.importorskip("photutils")
    # The nucleus is compact and the disc large: from cutout to cutout, light leads to the pieces.
    east, north = [0, 25, 50, 75, 105, -28, -55, -80, -105], [0.0] * 9
    table = make_disc_table(
        east, north, r=[13.0] + 8 * [18.0], radius=[12.0] + 8 * [2.0], p_cnn=[0.0] + 8 * [0.9]
    )
    found = find_parents(table, make_disc_cutouts(east, north, [(0, 0, 115, 0.05)]))
    assert found["parent_kind"].tolist() == ["self"] + 8 * ["row"]


def test_piece_away_from_the_centre_of_light_belongs_to_a_bright_nucleus():
    pytest.importorskip("photutils")
    # A bright arm on one side shifts the centre of light.
    east, north = [0, -9, 7, -10], [0, 3, -3, -3]
    table = make_disc_table(
        east, north, r=[15.0, 16.5, 19.0, 19.0], radius=[5.0, 3, 1, 1], p_cnn=[0.0, 0.9, 0.9, 0.9]
    )
    discs = [(-3, 0, 14, 0.01), (-9, 0, 6, 0.03)]
    found = find_parents(table, make_disc_cutouts(east, north, discs))
    assert found["parent_kind"].tolist() == ["self"] + 3 * ["row"]


def test_faint_galaxy_is_not_the_parent_of_bright_pieces():
    # Two bright pieces of a galaxy without an entry, and a faint galaxy beside it.
    table = make_disc_table(
        [0, 8, 14], [0, 0, 0], r=[20.5, 17.0, 17.5], radius=[1.5, 3, 3], p_cnn=[0.0, 0.9, 0.9]
    )
    assert find_parents(table)["parent_kind"].tolist() == ["self", "orphan", "orphan"]


def test_nucleus_scored_as_a_shred_keeps_its_pieces():
    # A faint galaxy is nearer to some of the pieces than their nucleus.
    east, north = [0, 28, -28, 5, 30, 34], [0, 5, 10, -30, -6, 12]
    table = make_disc_table(
        east,
        north,
        r=[13.5, 17.5, 17.5, 18.0, 18.0, 18.5],
        radius=[14.0, 2, 2, 2, 2, 3],
        p_cnn=[0.9, 0.97, 0.97, 0.97, 0.97, 0.05],
    )
    found = find_parents(table)
    assert found["parent_kind"].tolist() == 5 * ["orphan"] + ["self"]
    assert found["parent_index"].tolist() == [0, 0, 0, 0, 0, 5]


def test_sources_without_size_and_flux_at_one_place():
    table = make_disc_table([0, 0], [0, 0], flux_r=[0.0, 0.0], radius=[0.0, 0.0], p_cnn=[0.0, 0.9])
    assert find_parents(table)["parent_index"].tolist() == [0, 0]


def test_colour_decides_between_two_similar_galaxies():
    table = make_disc_table(
        [0, 20, 9], [0, 0, 0], r=[16.0, 16.0, 19.0], radius=[4.0, 4, 1], p_cnn=[0.0, 0.0, 0.9]
    )
    table["g"] = table["r"] + [0.9, 0.5, 0.4]
    # A red galaxy is a little nearer to a blue piece than a blue one.
    assert find_parents(table)["parent_index"].tolist() == [0, 1, 1]


@pytest.mark.parametrize("side", [1, -1])
def test_shreds_around_decide_between_two_similar_galaxies(side):
    # A shred a little nearer to the galaxy without further pieces.
    east = 10 + side * (np.array([0.0, 20.0, 13.0, 3.0, 4.0, 5.0, 6.0]) - 10)
    table = make_disc_table(east, [0.0, 0.0, 0.0, 2.0, -2.0, 2.0, -3.0], objID=np.arange(7))
    table["r"], table["radius"] = [15.0, 15.0, *[19.0] * 5], [4.0, 4.0, *[1.0] * 5]
    table["p_cnn"] = [0.1, 0.1, *[0.9] * 5]
    assert find_parents(table)["parent_id"].tolist()[2:] == [0] * 5
    # Alone, it belongs to the nearer one.
    assert find_parents(table[:3])["parent_id"].tolist() == [0, 1, 1]


def test_unconnected_galaxy_is_not_swallowed():
    pytest.importorskip("photutils")
    # A galaxy that was scored as a shred, 12″ from a bright one, with dark sky between them.
    table = Table(
        {
            "objID": [1, 2],
            "ra": [150.0, 150.0 + 12 / 3600],
            "dec": [0.0, 0.0],
            "r": [15.0, 20.0],
            "radius": [3.0, 1.0],
            "p_cnn": [0.0, 0.9],
        }
    )
    images = np.zeros((2, 128, 128, 1), dtype=np.float32)
    images[:, 60:68, 60:68] = 0.05
    images[:, 60:68, 86:92] = 0.5
    cutouts = Cutouts(images, pixel_scale=0.46875, bands=["r"], color_mapping="flux")
    assert find_parents(table)["parent_kind"].tolist() == ["self", "row"]
    assert find_parents(table, cutouts)["parent_kind"].tolist() == ["self", "orphan"]


def test_unusable_cutouts_leave_the_catalogue_to_decide():
    pytest.importorskip("photutils")
    table = make_table()
    images = np.full((6, 128, 128, 3), 32, dtype=np.uint8)
    cutouts = Cutouts.of_survey("legacy", images)
    assert not cutouts.good.any()
    assert find_parents(table, cutouts)["parent_kind"].tolist() == KINDS


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c[:3], "got 3 cutouts for 6 rows"),
        (lambda c: Cutouts(c.images, pixel_scale=0.5, bands="irg"), "are unknown"),
    ],
)
def test_wrong_cutouts_are_refused(change, message):
    images = np.random.default_rng(0).integers(0, 255, (6, 64, 64, 3), dtype=np.uint8)
    cutouts = change(Cutouts.of_survey("legacy", images))
    with pytest.raises(ValueError, match=message):
        find_parents(make_table(), cutouts)


@pytest.fixture
def hosts():
    return Table(
        {
            "host_id": ["NGC 1", "NGC 2", "broken"],
            "ra": [150.0, 150.1, np.nan],
            "dec": [2.0, 2.0, 2.0],
            "petro_th90": [30.0, 20.0, 10.0],
            "petro_ba90": [0.9, 0.8, 0.9],
            "petro_phi90": [0.0, 0.0, 0.0],
        }
    )


def test_hosts_get_the_shreds_in_their_ellipses(hosts):
    found = find_parents(make_table(), hosts=hosts)
    # The first host has an entry in the table, the second has none.
    assert found["parent_kind"].tolist() == ["self", "row", "row", "host", "host", "self"]
    assert found["parent_id"].tolist() == ["11", "11", "11", "NGC 2", "NGC 2", "16"]
    merged = merge_shreds(make_table(), hosts=hosts)
    assert merged["merge_kind"].tolist() == ["galaxy", "host", "galaxy"]
    assert merged["merge_host"].tolist() == ["", "NGC 2", ""]
    np.testing.assert_allclose(merged["ra"], [150.0, 150.1, 150.2])
    # A host without a name has its row number.
    hosts["host_id"] = MaskedColumn(hosts["host_id"], mask=[False, True, False])
    assert find_parents(make_table(), hosts=hosts)["parent_id"].tolist()[3] == "host 1"
    assert merge_shreds(make_table(), hosts=hosts)["merge_host"].tolist()[1] == "host 1"


def test_atlas_entries_are_never_shreds():
    table = make_table(ref_cat=["", "", "", "L3", "", ""])
    found = find_parents(table)
    assert found["parent_kind"].tolist()[3] == "self"
    assert found["parent_id"].tolist()[4] == 14


def test_unscored_rows_and_rows_without_position():
    table = make_table()
    table["p_cnn"][5] = np.nan
    table["ra"][2] = np.nan
    with pytest.warns(ShredfinderWarning, match="1 are unscored .* 1 have no position"):
        found = find_parents(table)
    assert found["parent_flag"].tolist() == ["", "", "no position", "", "", "unscored"]
    assert found["parent_kind"].tolist() == ["self", "row", "orphan", "orphan", "orphan", "self"]
    assert np.isnan(found["parent_confidence"][5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShredfinderWarning)
        merged = merge_shreds(table)
    assert names_of(merged) == [{"11", "12"}, {"13"}, {"14", "15"}, {"16"}]


def test_stars_are_no_gaps():
    table = make_table()
    table["p_cnn"][5] = np.nan
    table["p_cnn_flag"] = ["", "", "", "", "", "not a galaxy"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", ShredfinderWarning)
        found = find_parents(table)
        assert found["parent_kind"][5] == "self"
    table["p_cnn_flag"][5] = "blank"
    with pytest.warns(ShredfinderWarning, match="1 are unscored"):
        find_parents(table)


def test_parents_need_neither_fluxes_nor_sizes_nor_identifiers():
    table = make_table()["ra", "dec", "p_cnn"]
    table["ra"][1] = 150.0005
    found = find_parents(table)
    assert found["id"].tolist() == list(range(6))
    assert found["parent_id"].tolist()[:2] == [0, 0]


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="1 identifiers in the column 'objID' occur more than"):
        find_parents(make_table(objID=[11, 12, 12, 14, 15, 16]))
    with pytest.raises(KeyError, match="no column 'p_cnn'"):
        find_parents(make_table()["objID", "ra", "dec"])
    with pytest.raises(ValueError, match="probabilities between 0 and 1"):
        find_parents(make_table(p_cnn=[2.0] * 6))
    with pytest.raises(ValueError, match="rows without an identifier"):
        find_parents(make_table(objID=MaskedColumn([1, 2, 3, 4, 5, 6], mask=[0, 1, 0, 0, 0, 0])))
    with pytest.raises(ValueError, match="no fluxes or magnitudes to merge"):
        merge_shreds(make_table()["objID", "ra", "dec", "p_cnn"])
    with pytest.raises(ValueError, match="method must be 'catalog'"):
        merge_shreds(make_table(), "sum")
    with pytest.raises(ValueError, match="do not belong to the table"):
        merge_shreds(make_table(), parents=find_parents(make_table())[::-1])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"objID": ["a", "", "c", "d", "e", "f"]}, "rows without an identifier"),
        ({"objID": np.array(["a", None, "c", "d", "e", "f"], object)}, "without an identifier"),
        ({"objID": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}, "one integer or text per row"),
        ({"objID": np.arange(12).reshape(6, 2)}, r"of shape \(6, 2\)"),
        ({"flux_r": np.ones((6, 3))}, r"flux_r must have one value per row: got shape \(6, 3\)"),
        ({"shape_r": np.ones((6, 2))}, r"shape_r must have one value per row"),
        ({"shred_ids": [""] * 6}, "columns that merging writes: shred_ids"),
        ({"MERGE_FLAG": [""] * 6}, "columns that merging writes: merge_flag"),
    ],
)
def test_unusable_columns_are_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        merge_shreds(make_table(**columns))


def test_names_of_the_result_that_depend_on_the_input():
    table = make_table(row=np.arange(6))
    assert merge_shreds(table)["row"].tolist() == [0, 3, 5]
    with pytest.raises(ValueError, match="columns that merging writes: row"):
        merge_shreds(table[[name for name in table.colnames if name != "objID"]])
    with pytest.raises(ValueError, match="half_light_radius"):
        merge_shreds(make_table(half_light_radius=1.0), "image")


def test_arguments_of_the_wrong_type_are_refused():
    with pytest.raises(TypeError, match="got dict"):
        merge_shreds({"ra": [150.0]})
    with pytest.raises(TypeError, match="cutouts must be Cutouts or a CutoutSequence, not ndarray"):
        merge_shreds(make_table(), cutouts=np.zeros((6, 8, 8, 3)))
    with pytest.raises(TypeError, match=r"parents must be .* got str"):
        merge_shreds(make_table(), parents="parents.ecsv")
    with pytest.raises(TypeError, match=r"hosts must be .* got str"):
        merge_shreds(make_table(), hosts="hosts.ecsv")
    with pytest.raises(KeyError, match="the hosts have no column petro_th90, petro_ba90"):
        merge_shreds(make_table(), hosts=Table({"ra": [150.0], "dec": [2.0]}))


def test_corrected_parents_are_used_and_checked():
    table = make_table()
    parents = find_parents(table)
    parents["parent_index"][2] = 5
    merged = merge_shreds(table, parents=parents)
    assert names_of(merged) == [{"11", "12"}, {"14", "15"}, {"16", "13"}]
    parents["parent_index"][2] = 1
    with pytest.raises(ValueError, match="row 2 is of the kind 'row', but its parent, row 1"):
        merge_shreds(table, parents=parents)


# Photometry


def test_fluxes_and_errors_are_added():
    merged = merge_shreds(make_table())
    assert merged["objID"].tolist() == [11, 14, 16]
    assert merged["n_shreds"].tolist() == [2, 2, 0]
    assert merged["shred_ids"].tolist() == ["12;13", "14;15", ""]
    assert merged["merge_kind"].tolist() == ["galaxy", "recovered", "galaxy"]
    # The negative flux counts.
    np.testing.assert_allclose(merged["flux_r"], [138.0, 4.0, 5.0])
    np.testing.assert_allclose(merged["flux_ivar_r"], [1 / 2.25, 0.2, 1.0])
    assert set(merged["merge_flag"]) == {""}


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_row_is_named_once(data):
    n = data.draw(st.integers(0, 12))

    def column(values):
        return np.array(data.draw(st.lists(values, min_size=n, max_size=n)), dtype=float)

    gap = st.just(np.nan)
    table = Table(
        {
            "objID": np.arange(n) + 5,
            "ra": 150 + column(st.floats(0, 0.02) | gap),
            "dec": column(st.floats(0, 0.02) | gap),
            "flux_r": column(st.floats(-5, 1e4) | gap),
            "radius": column(st.floats(0, 30) | gap),
            "p_cnn": column(st.floats(0, 1) | gap),
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ShredfinderWarning)
        named = [name for names in names_of(merge_shreds(table)) for name in names]
    assert sorted(named) == sorted(str(name) for name in table["objID"])


def test_input_and_lone_galaxies_stay_as_they_were():
    table = make_table()
    before = table.copy()
    merged = merge_shreds(table)
    assert table.colnames == before.colnames
    for name in before.colnames:
        np.testing.assert_array_equal(table[name], before[name])
        assert merged[name][2] == before[name][5]


def test_extinction_is_corrected_once():
    table = make_table(mw_transmission_r=[0.9, 0.8, 0.7, 0.8, 0.8, 0.95])
    merged = merge_shreds(table)
    corrected = merged["flux_r"] / merged["mw_transmission_r"]
    # Each flux at its own transmission; the negative one counts at the mean.
    positive = 100 / 0.9 + 40 / 0.8
    assert corrected[0] == pytest.approx(positive - 2 / 0.7, rel=0.01)
    # The same with magnitudes of both kinds in the table.
    table["dered_mag_r"] = 22.5 - 2.5 * np.log10(
        np.maximum(table["flux_r"], 1e-9) / table["mw_transmission_r"]
    )
    merged = merge_shreds(table)
    expected = 22.5 - 2.5 * np.log10(merged["flux_r"] / merged["mw_transmission_r"])
    np.testing.assert_allclose(merged["dered_mag_r"], expected, rtol=1e-6)


def test_the_cuts_apply_to_the_merged_table():
    merged = merge_shreds(make_table(shape_r_ivar=[100.0] * 6))
    found = photometry(merged)
    expected = 22.5 - 2.5 * np.log10(138.0 / 0.9)
    assert found["mag"]["r"][0] == pytest.approx(expected)
    assert found["mag_err"]["r"][0] == pytest.approx(1.0857 * 1.5 / 138.0, rel=1e-3)
    assert np.isfinite(found["mu_eff"]).all()


def test_magnitudes_are_added():
    table = make_table()["objID", "ra", "dec", "p_cnn"]
    table["r_eff"] = [6.0, 1.0, 1.0, 2.0, 2.0, 1.0]
    for band in ("g", "r"):
        table[band] = [15.0, 15.0, 20.0, 18.0, 18.0, 19.0] * u.mag
        table[f"{band}_err"] = [0.1, 0.1, 0.1, 0.2, 0.2, 0.1] * u.mag
    table["gr_err"], table["mu_eff"] = np.hypot(table["g_err"], table["r_err"]), 22.0
    merged = merge_shreds(table)
    total = -2.5 * np.log10(2 * 10**-6.0 + 10**-8.0)
    np.testing.assert_allclose(merged["r"][:2], [total, 18 - 2.5 * np.log10(2)], rtol=1e-6)
    assert merged["r_err"][1] == pytest.approx(0.2 / np.sqrt(2))
    assert merged["gr_err"][1] == pytest.approx(0.2)
    mu = merged["r"] + 2.5 * np.log10(2 * np.pi * merged["r_eff"] ** 2)
    np.testing.assert_allclose(merged["mu_eff"][:2], mu[:2])


def test_sdss_marks_of_missing_values_are_not_added():
    table = make_table()["objID", "ra", "dec", "p_cnn"]
    table["petroR50_r"] = [6.0, 1.0, 1.0, 2.0, 2.0, 1.0]
    for band in "gri":
        table[f"modelMag_{band}"] = [15.0, 15.0, -9999.0, 18.0, 18.0, 19.0]
        table[f"modelMagErr_{band}"] = 0.1
        table[f"extinction_{band}"] = [0.1, 0.1, 0.1, 0.2, 0.2, 0.2]
        table[f"dered_{band}"] = table[f"modelMag_{band}"] - table[f"extinction_{band}"]
        table[f"dered_{band}"][2] = -9999.0
    merged = merge_shreds(table)
    doubled = 2.5 * np.log10(2)
    np.testing.assert_allclose(merged["modelMag_r"], [15 - doubled, 18 - doubled, 19.0])
    np.testing.assert_allclose(
        merged["modelMag_r"] - merged["extinction_r"], merged["dered_r"], atol=1e-9
    )
    assert merged["merge_flag"].tolist() == ["missing g r i", "", ""]


def test_missing_bands_are_flagged():
    table = make_table()
    table["flux_g"][1] = np.nan
    table["flux_z"][3] = np.nan
    merged = merge_shreds(table)
    assert merged["merge_flag"].tolist() == ["missing g", "missing z", ""]
    # The others are added up, but not without the galaxy's own flux.
    assert merged["flux_g"][0] == pytest.approx(0.5 * 98)
    assert np.isnan(merged["flux_z"][1])


def test_doubtful_rows_are_flagged():
    table = make_table()
    for band in "gz":
        table[f"flux_{band}"] = -np.abs(table[f"flux_{band}"])
    table["p_cnn"][5], table["ra"][2] = np.nan, np.nan
    with pytest.warns(ShredfinderWarning):
        merged = merge_shreds(table)
    # The second galaxy is a shred without a position.
    assert merged["merge_flag"].tolist() == [
        "negative g z",
        "no position, negative g r z",
        "negative g z",
        "unscored",
    ]


def test_unknown_errors_stay_unknown():
    table = make_table()
    table["flux_ivar_r"][1] = 0.0
    assert merge_shreds(table)["flux_ivar_r"][0] == 0.0


def test_recovered_galaxies_are_at_the_centre_of_light():
    merged = merge_shreds(make_table(ShredTable))
    assert merged["ra"][1] == pytest.approx(150.1 + 0.25 * 0.0008, abs=1e-8)
    assert np.isnan(merged["p_cnn"][1])
    # Half-light radius: larger than each piece, and less than their distance.
    assert 2.0 < merged["shape_r"][1] < 3.0
    assert type(merged) is ShredTable


def test_recovered_galaxies_at_ra_zero():
    table = make_table()
    table["ra"] = [150.0, 150.002, 149.999, 359.9998, 0.0002, 150.2] * u.deg
    table["dec"] = [2.0, 2.0, 2.001, 0.0, 0.0, 2.0] * u.deg
    merged = merge_shreds(table)
    assert merged["merge_kind"][1] == "recovered"
    assert merged["ra"][1] == pytest.approx(359.9999, abs=1e-6)


@pytest.mark.parametrize(
    "kind", ["quantity", "skycoord", "text", "masked", "hours", "dataframe", "integers"]
)
def test_other_kinds_of_tables(kind):
    table = make_table()
    if kind == "integers":
        # Whole numbers: neither sums nor centres are.
        table["ra"] = [10, 11, 12, 150, 150, 20]
        table["dec"] = [0, 0, 0, 3, 3, 0]
        table["shape_r"] = [2, 2, 2, 2, 2, 2]
        table["p_cnn"] = [0, 0, 0, 1, 1, 0]
        for band in "grz":
            table[f"flux_{band}"] = [100, 40, 1, 3, 1, 5]
        merged = merge_shreds(table)
        assert merged["flux_r"].tolist() == [100, 40, 1, 4, 5]
        assert np.isnan(merged["p_cnn"][3])
        return
    expected = merge_shreds(table)
    if kind == "quantity":
        table = QTable(table)
    elif kind == "hours":
        table["ra"] = np.asarray(table["ra"]) / 15
        table["ra"].unit = "h"
        expected["ra"] = np.asarray(expected["ra"]) / 15
    elif kind == "dataframe":
        table = pytest.importorskip("pandas").DataFrame({n: table[n] for n in table.colnames})
    elif kind == "masked":
        table = Table(table, masked=True)
    elif kind == "skycoord":
        table["coord"] = SkyCoord(table["ra"], table["dec"])
        table.remove_columns(["ra", "dec"])
    else:
        coords = SkyCoord(table["ra"], table["dec"])
        table["ra"] = coords.ra.to_string(unit="hourangle", sep=":", precision=5)
        table["dec"] = coords.dec.to_string(unit="deg", sep=":", precision=4)
    merged = merge_shreds(table)
    np.testing.assert_allclose(np.asarray(merged["flux_r"]), expected["flux_r"])
    coords = merged["coord"] if kind == "skycoord" else None
    if kind == "text":
        coords = SkyCoord(merged["ra"], merged["dec"], unit=("hourangle", "deg"))
    ra = coords.ra.deg if coords is not None else np.asarray(merged["ra"])
    np.testing.assert_allclose(ra, expected["ra"], atol=1e-5)


def test_empty_table_and_table_without_shreds():
    empty = merge_shreds(make_table()[:0])
    assert len(empty) == 0
    assert "shred_ids" in empty.colnames
    table = make_table(p_cnn=[0.1] * 6)
    merged = merge_shreds(table)
    assert merged["n_shreds"].tolist() == [0] * 6


def test_magnitudes_with_units():
    columns = {"objID": [1, 2], "p_cnn": [0.1, 0.9], "ra": [150.0, 150.0005], "dec": [2.0, 2.0]}
    total = 18 - 2.5 * np.log10(1 + 10**-0.8)
    for unit in (u.mag, u.ABmag):
        for cls in (Table, QTable):
            merged = merge_shreds(cls({**columns, "r": [18.0, 20.0] * unit}))
            assert merged["r"].unit == unit
            assert np.asarray(merged["r"].value) == pytest.approx([total])
    merged = merge_shreds(Table({**columns, "r": [18, 20]}))
    assert merged["r"][0] == pytest.approx(total)


def test_recovered_galaxies_have_no_flag_of_a_score():
    for flag in (["", "", "", "", "", ""], [b""] * 6, np.array([""] * 6, object)):
        merged = merge_shreds(make_table(p_cnn_flag=flag))
        assert merged["p_cnn_flag"].tolist() == ["", "recovered", ""]


def test_lone_shreds_without_flux_are_flagged():
    table = make_table()[3:]
    table["flux_g"], table["p_cnn"] = [np.nan, np.nan, np.nan], [0.9, 0.1, 0.1]
    table["ra"][0] = 151.0
    # Galaxies that nothing was merged with keep their row.
    assert merge_shreds(table)["merge_flag"].tolist() == ["missing g", "", ""]


def test_redshifts_are_no_magnitudes():
    table = make_table()
    table.remove_columns([name for name in table.colnames if name.endswith("_z")])
    table["z"] = [0.01, 0.01, 0.01, 0.02, 0.02, 0.3]
    assert merge_shreds(table)["z"].tolist() == [0.01, 0.02, 0.3]


@pytest.mark.parametrize("name", ["merged.fits", "merged.ecsv", "merged.parquet", "merged.vot"])
def test_merged_tables_survive_files(tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    from shredfinder.table import read_catalogue, write_catalogue

    merged = make_table(ShredTable).merge_shreds()
    write_catalogue(merged, tmp_path / name)
    back = read_catalogue(tmp_path / name)
    assert np.ma.filled(back["shred_ids"], "").tolist() == ["12;13", "14;15", ""]
    assert np.isnan(back["p_cnn"][1])
