"""SAGA's rule for shreds in full."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table

from shredfinder import ShredTable
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts import compare_removals, merge_shreds, saga_shreds

NAN = np.nan
ARCSEC = 1 / 3600
SPEED_OF_LIGHT = 299792.458


def make_table(rows, cls=Table, **columns):
    """A table of (arcsec east, r, r_err, redshift) at the equator; the radius is 10″ for r < 16."""
    east, r_mag, r_err, redshift = np.array(rows, dtype=float).T
    table = cls({"objID": np.arange(1, len(rows) + 1), "ra": 150 + east * ARCSEC})
    table["dec"] = np.zeros(len(rows))
    table["r"], table["r_err"] = r_mag, r_err
    table["radius"] = np.where(r_mag < 16, 10.0, 1.0)
    table["redshift"] = redshift
    for name, values in columns.items():
        table[name] = values
    return table


def make_nsa(**columns):
    nsa = Table({"host_id": [77], "ra": [150.0], "dec": [0.0], "z": [0.01], "petro_th90": [30.0]})
    nsa["petro_ba90"], nsa["petro_phi90"], nsa["r_mag"] = 0.5, 90.0, 13.0
    for name, values in columns.items():
        nsa[name] = values
    return nsa


def removed(*args, **options):
    found = saga_shreds(*args, **options)
    return found["id"][found["shred"]].tolist()


PARENT = (0, 15, 0.001, 0.01)  # an ellipse of 20″


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((11, 18, 0.001, NAN), "inner ellipse"),  # 0.55 of the ellipse
        ((13, 18, 0.001, NAN), ""),  # 0.65
        ((13, 18, 0.02, NAN), "magnitude error"),
        ((13, 18, NAN, NAN), ""),  # the error is unknown
        ((21, 18, 0.5, NAN), ""),  # outside
        ((11, 14.9, 0.001, NAN), ""),  # brighter than the parent
        ((19, 18, 0.001, 0.01), "redshift"),
        ((11, 18, 0.5, 0.02), ""),  # another redshift
        ((21, 18, 0.001, 0.01), ""),
        ((11, NAN, NAN, NAN), ""),
    ],
)
def test_who_is_removed(row, reason):
    found = saga_shreds(make_table([PARENT, row]))
    assert found["shred"].tolist() == [False, reason != ""]
    assert found["parent_flag"].tolist() == ["", reason]
    assert found["parent_id"].tolist() == [1, 1 if reason else 2]


@pytest.mark.parametrize(
    ("r_mag", "velocity"), [(13, 300), (14, 300), (15, 250), (17, 200), (20.5, 150)]
)
def test_redshift_windows(r_mag, velocity):
    for factor, inside in ((0.99, True), (1.01, False)):
        redshift = 0.01 + factor * velocity / SPEED_OF_LIGHT
        rows = [(0, r_mag, 0.001, 0.01), (1, 21, 0.001, redshift)]
        found = saga_shreds(make_table(rows, radius=[10.0, 1.0]))
        assert found["shred"][1] == inside


def test_atlas_entries_need_no_redshift_and_are_exempt():
    rows = [(0, 15, 0.001, NAN), (14, 18, 0.001, NAN), (16, 18, 0.001, NAN), (16, 18, 0.006, NAN),
            (3, 18, 0.001, 0.3), (4, 18, 0.5, NAN)]  # fmt: skip
    table = make_table(rows, ref_cat=["L3", "", "", "", "", "L3"])
    # 0.75 of the ellipse and an error of 0.005; sources with a redshift stay, since the parent's
    # is unknown.
    assert removed(table) == [2, 4]
    # Without the atlas, only the galaxy with a redshift is a parent.
    assert removed(make_table(rows)) == [6]


def test_bright_sources_and_recovered_ones_stay():
    rows = [(0, 12, 0.001, 0.01), (3, 13.9, 0.001, 0.01), (4, 14.1, 0.001, 0.01),
            (5, 18, 0.001, NAN)]  # fmt: skip
    table = make_table(rows)
    assert removed(table) == [3, 4]
    assert removed(table, recovered=[4]) == [3]
    assert removed(table, recovered=["4", "3"]) == []


def test_removed_galaxies_are_no_parents():
    # The second would remove the third, but the first removes it.
    rows = [(0, 15, 0.001, 0.01), (18, 15.5, 0.001, 0.01), (28, 18, 0.001, NAN)]
    assert removed(make_table(rows)) == [2]
    assert removed(make_table(rows[1:])) == [2]


def test_stars_are_neither_parents_nor_shreds():
    rows = [PARENT, (3, 18, 0.001, NAN), (4, 18, 0.001, NAN)]
    assert removed(make_table(rows, type=["SER", "PSF", "REX"])) == [3]
    assert removed(make_table(rows, type=["PSF", "REX", "REX"])) == []


def test_shape_of_the_ellipse():
    rows = [PARENT, (0, 18, 0.001, 0.01)]
    table = make_table(rows)
    table["dec"][1] = 15 * ARCSEC
    assert removed(table) == [2]
    # 2 × radius / √(b/a): 40″ along the major axis, 10″ across.
    table["ba"], table["phi"] = [0.25, 1.0], [90.0, 0.0]
    assert removed(table) == []
    table["phi"] = [0.0, 0.0] * u.rad
    assert removed(table) == [2]
    # Tractor's ellipticity: b/a = (1 - e) / (1 + e), and SHAPE_R is the major axis.
    table.remove_columns(["ba", "phi"])
    table.rename_column("radius", "shape_r")
    table["shape_e1"], table["shape_e2"] = [0.6, 0.0], [0.0, 0.0]
    assert removed(table) == [2]
    table["shape_e1"] = [-0.6, 0.0]
    assert removed(table) == []
    table["dec"][1] = 21 * ARCSEC
    table["shape_e1"] = [0.6, 0.0]
    assert removed(table) == []
    # A semi-major axis is used as it is.
    table["sma"] = [30.0, 1.0]
    assert removed(table) == [2]


def test_nsa_galaxies_remove_shreds_of_their_entry():
    # The entry has another magnitude and no redshift. The ellipse is 60″ × 30″ along east.
    rows = [(2, 19, 0.5, NAN), (30, 18, 0.001, NAN), (40, 18, 0.001, NAN), (50, 18, 0.02, NAN),
            (58, 14.5, 0.001, 0.01), (62, 18, 0.5, NAN)]  # fmt: skip
    table = make_table(rows)
    found = saga_shreds(table, make_nsa())
    shred = found["shred"]
    assert found["id"][shred].tolist() == [2, 4, 5]
    assert set(found["parent_id"][shred]) == {1}
    assert set(found["parent_kind"][shred]) == {"row"}
    # Without an entry the parent is the host itself, also for the merged photometry.
    found = saga_shreds(table[1:], make_nsa())
    assert found["parent_kind"].tolist() == ["host", "self", "host", "host", "self"]
    assert found["parent_id"].tolist()[0] == 77
    merged = merge_shreds(table[1:], parents=found, hosts=make_nsa())
    assert merged["merge_kind"].tolist() == ["galaxy", "host", "galaxy"]


def test_nsa_galaxies_exempt_each_other():
    rows = [(0, 13, 0.001, 0.01), (20, 16, 0.001, 0.01)]
    nsa = make_nsa()
    assert removed(make_table(rows), nsa) == [2]
    nsa.add_row(nsa[0])
    nsa["ra"][1], nsa["r_mag"][1] = 150 + 20 * ARCSEC, 16
    assert removed(make_table(rows), nsa) == []
    # Two that share an entry: the nearest has it.
    nsa["ra"][1] = 150 + 3 * ARCSEC
    assert removed(make_table(rows), nsa) == [2]


def test_unusable_nsa_galaxies_are_ignored():
    nsa = make_nsa(petro_ba90=[NAN])
    with pytest.warns(ShredfinderWarning, match="1 of 1 NSA galaxies are ignored"):
        assert removed(make_table([(30, 18, 0.001, NAN)]), nsa) == []


def test_many_removals_are_reported():
    rows = [PARENT, *[(1 + i / 10, 18, 0.001, NAN) for i in range(26)]]
    with pytest.warns(ShredfinderWarning, match="26 sources are removed around the galaxy 1,"):
        saga_shreds(make_table(rows))
    saga_shreds(make_table(rows[:-1]))
    # The atlas's are expected to.
    saga_shreds(make_table(rows, ref_cat=["L3"] + [""] * 26))


def test_result_does_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(3)
    n = 300
    rows = np.column_stack(
        [rng.uniform(-150, 150, n), rng.uniform(13, 21, n), rng.uniform(0, 0.03, n),
         np.where(rng.uniform(size=n) < 0.3, rng.normal(0.01, 0.001, n), NAN)]
    )  # fmt: skip
    table = make_table(rows, radius=rng.uniform(1, 12, n))
    nsa = make_nsa()
    expected = saga_shreds(table, nsa)
    assert 0 < np.count_nonzero(expected["shred"]) < n
    order = rng.permutation(n)
    found = saga_shreds(table[order], nsa)
    for name in ("id", "shred", "parent_id", "parent_kind", "parent_flag"):
        assert found[name].tolist() == expected[name][order].tolist()


@pytest.mark.parametrize("cls", [QTable, ShredTable])
def test_kinds_of_tables_and_of_photometry(cls):
    rows = [PARENT, (11, 18, 0.001, NAN), (13, 18, 0.03, NAN)]
    table = make_table(rows, cls)
    table["radius"] = table["radius"] / 60 * u.arcmin
    table["redshift"] = MaskedColumn([0.01, 0, 0], mask=[False, True, True])
    assert removed(table) == [2, 3]
    table.rename_column("redshift", "z")
    assert removed(table) == []
    assert removed(table, redshift="z") == [2, 3]
    # Fluxes of the Legacy Surveys, which are corrected for extinction.
    flux = 10 ** (0.4 * (22.5 - np.asarray(table["r"])))
    table["flux_r"], table["mw_transmission_r"] = flux * 0.8, 0.8
    table["flux_ivar_r"] = (1.0857 / (flux * 0.8 * np.asarray(table["r_err"]))) ** 2
    table.remove_columns(["r", "r_err"])
    assert removed(table, redshift="z") == [2, 3]


def test_empty_table_and_bad_input():
    table = make_table([PARENT, (11, 18, 0.001, NAN)])
    assert len(saga_shreds(table[:0], make_nsa())) == 0
    with pytest.raises(ValueError, match="no r photometry"):
        saga_shreds(table["objID", "ra", "dec"])
    with pytest.raises(KeyError, match="z_best"):
        saga_shreds(table, redshift="z_best")
    table["ra"][1] = NAN
    assert saga_shreds(table)["parent_flag"].tolist() == ["", "no position"]
    table["objID"] = [1, 1]
    with pytest.raises(ValueError, match="more than once"):
        saga_shreds(table)


def test_counts_of_removals():
    counts = compare_removals([True, False, False], [0.9, NAN, 0.7], threshold=0.8)
    assert dict(zip(counts["removed by"], counts["n"], strict=True)) == {
        "the rule": 1, "p_cnn": 1, "both": 1, "the rule alone": 0, "p_cnn alone": 0, "neither": 2,
    }  # fmt: skip
    assert counts.colnames == ["removed by", "n"]
    with pytest.raises(ValueError, match="must have the same length"):
        compare_removals([True], [0.9, 0.1])
    with pytest.raises(ValueError, match="must have the same length"):
        compare_removals([True], [0.9], label=["shred", "shred"])
    with pytest.raises(ValueError, match="between 0 and 1"):
        compare_removals([True], [9.0])
