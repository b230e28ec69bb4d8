import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import FK5, AltAz, Latitude, Longitude, SkyCoord
from astropy.table import Column, MaskedColumn, QTable, Table, vstack
from astropy.utils import minversion
from hypothesis import given
from hypothesis import strategies as st

from shredfinder.exceptions import ShredfinderWarning
from shredfinder.table import find_position, get_positions

RA, DEC = np.array([150.1, 10.0, 359.9]), np.array([2.2, -30.0, 89.0])


def assert_positions(coords, ra=RA, dec=DEC):
    assert coords.shape == np.shape(ra)
    assert coords.frame.name == "icrs"
    np.testing.assert_allclose(coords.ra.deg, ra, atol=1e-9)
    np.testing.assert_allclose(coords.dec.deg, dec, atol=1e-9)


@pytest.mark.parametrize(
    "names",
    [
        ("ra", "dec"), ("RA", "DEC"), ("Ra", "Dec"), ("RAJ2000", "DEJ2000"), ("ra", "de"),
        ("_RAJ2000", "_DEJ2000"), ("ra_deg", "dec_deg"), ("RA_ICRS", "DE_ICRS"),
        ("raMean", "decMean"), ("RAdeg", "DEdeg"), ("ALPHA_J2000", "DELTA_J2000"),
        ("s_ra", "s_dec"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cls", [Table, QTable])
def test_names(names, cls):
    table = cls({"id": [1, 2, 3], names[1]: DEC, names[0]: RA})
    assert_positions(get_positions(table))
    for name in names:
        table[name].info.unit = "deg"
    assert_positions(get_positions(cls(table)))


def test_units():
    for cls in (Table, QTable):
        table = cls({"ra": (RA * u.deg).to(u.hourangle), "dec": (DEC * u.deg).to(u.rad)})
        assert_positions(get_positions(table))
    # FITS and VOTable files give right ascension in hours of time.
    assert_positions(get_positions(QTable({"ra": RA / 15 * u.hour, "dec": DEC * 60 * u.arcmin})))
    angles = QTable({"ra": Longitude(RA, u.deg), "dec": Latitude(DEC, u.deg)})
    assert_positions(get_positions(angles))


@pytest.mark.parametrize("unit", ["Jy", "pixel", "m"])
def test_wrong_units(unit):
    table = QTable({"ra": RA * u.Unit(unit), "dec": DEC * u.deg})
    with pytest.raises(ValueError, match=f"'ra' has the unit '.*{unit[:2]}.*not an angle"):
        get_positions(table)
    with pytest.raises(ValueError, match="not an angle"):
        get_positions(Table({"ra": RA * u.deg, "dec": DEC * u.hour}))


def test_unknown_unit():
    unit = u.Unit("bogus", parse_strict="silent")
    with pytest.raises(ValueError, match="unit 'bogus'"):
        get_positions(Table({"ra": Column(RA, unit=unit), "dec": DEC}))


def test_invalid_values_affect_their_own_row_only():
    ra = [10, np.nan, np.inf, 10, 10, 361, -180.5, 10, -10, 360]
    dec = [20, 20, 20, np.nan, 90.5, 20, 20, -999, -90, 90]
    coords = get_positions(Table({"ra": ra, "dec": dec}))
    good = [True, *[False] * 7, True, True]
    assert np.isfinite(coords.ra).tolist() == good
    assert np.isfinite(coords.dec).tolist() == good
    assert coords.ra.deg[8] == 350


def test_masked_values():
    ra = MaskedColumn(RA, mask=[True, False, False])
    assert (
        np.isnan(get_positions(Table({"ra": ra, "dec": DEC})).ra).tolist() == [True] + [False] * 2
    )
    ra.unit = "deg"
    coords = get_positions(QTable({"ra": ra, "dec": DEC * u.deg}))
    assert np.isnan(coords.ra).tolist() == [True, False, False]
    integers = np.ma.masked_array([1, 2, 3], [False, False, True])
    coords = get_positions(Table({"ra": integers, "dec": integers}))
    assert_positions(coords, [1, 2, np.nan], [1, 2, np.nan])


def test_text():
    table = Table({"RA": ["10:00:24", "150.1", "nonsense", ""], "Dec": ["+02 12 00"] * 4})
    assert_positions(
        get_positions(table), [150.1, 150.1, np.nan, np.nan], [2.2, 2.2] + [np.nan] * 2
    )
    table = Table({"ra": [b"10h00m24s", b"\xff"], "dec": [b"2d12m", b"2"]})
    assert_positions(get_positions(table), [150.1, np.nan], [2.2, np.nan])
    table = Table({"ra": np.array([150.1, None], dtype=object), "dec": [2.2, 2.2]})
    assert_positions(get_positions(table), [150.1, np.nan], [2.2, np.nan])


def make_ucd_table(ra_ucd, dec_ucd, names=("alpha", "delta")):
    table = Table({names[0]: RA, names[1]: DEC, "e_alpha": DEC})
    table[names[0]].meta["ucd"], table[names[1]].meta["ucd"] = ra_ucd, dec_ucd
    table["e_alpha"].meta["ucd"] = "stat.error;pos.eq.ra;meta.main"
    return table


@pytest.mark.parametrize(
    "ucds",
    [
        ("pos.eq.ra;meta.main", "pos.eq.dec;meta.main"),
        ("POS_EQ_RA_MAIN", "POS_EQ_DEC_MAIN"),
        ("pos.eq.ra", "pos.eq.dec"),
    ],
)
def test_ucds(ucds, tmp_path):
    table = make_ucd_table(*ucds)
    assert_positions(get_positions(table))
    table.write(tmp_path / "t.vot", format="votable")
    assert_positions(get_positions(Table.read(tmp_path / "t.vot")))


def test_the_main_ucd_takes_precedence_over_other_names():
    table = make_ucd_table("pos.eq.ra;meta.main", "pos.eq.dec;meta.main")
    table["RAJ2000"], table["DEJ2000"] = DEC, DEC
    assert_positions(get_positions(table))


def test_coordinate_columns():
    coords = SkyCoord(RA, DEC, unit="deg").transform_to(FK5())
    table = Table({"c": coords})
    assert_positions(get_positions(table))
    table["other"] = coords
    with pytest.raises(
        ValueError, match="more than one position was found in the table: c, other; name"
    ):
        get_positions(table)
    assert_positions(get_positions(table, "other"))
    table["ra"], table["dec"] = RA[::-1], DEC[::-1]
    assert_positions(get_positions(table), RA[::-1], DEC[::-1])


@pytest.mark.skipif(
    not minversion("astropy", "7"), reason="coordinates can't be masked before astropy 7"
)
def test_masked_coordinates_have_no_position():
    coords = SkyCoord(RA, DEC, unit="deg").transform_to(FK5())
    stacked = vstack([Table({"c": coords}), Table({"a": [1]})])
    assert_positions(get_positions(stacked), [*RA, np.nan], [*DEC, np.nan])


def test_override():
    table = Table({"ra": RA[::-1], "dec": DEC[::-1], "host_ra": RA, "host_dec": DEC})
    assert_positions(get_positions(table, ("host_ra", "host_dec")))
    assert_positions(get_positions(table, SkyCoord(RA, DEC, unit="deg")))


def test_ambiguous():
    table = Table({"ra": RA, "dec": DEC, "RA": RA, "DEC": DEC})
    with pytest.raises(ValueError, match=r"more than one.*'ra', 'dec'.*'RA', 'DEC'.*position="):
        get_positions(table)
    table = Table({"RA_ICRS": RA, "DE_ICRS": DEC, "RAJ2000": RA, "DEJ2000": DEC})
    with pytest.raises(ValueError, match="more than one"):
        get_positions(table)


@pytest.mark.parametrize(
    ("position", "message"),
    [
        (None, "no position was found in the table, among the columns id, x"),
        ("x", "not a SkyCoord"),
        ("y", "'y', which the table does not have"),
        (("x", "y"), "'y', which the table does not have"),
        (("x",), "must be"),
        (5, "must be"),
        (SkyCoord([1, 2], [1, 2], unit="deg"), r"shape \(2,\), but the table has 3 rows"),
        (SkyCoord([1] * 3, [1] * 3, unit="deg", frame=AltAz()), "transformed to ICRS"),
        (("id", "pair"), r"'pair' holds .* shape \(2,\)"),
        (("id", "flag"), "not an angle"),
    ],
)
def test_bad_positions(position, message):
    table = Table({"id": [1, 2, 3], "x": RA})
    if position is not None:
        table["pair"], table["flag"] = np.zeros((3, 2)), [True] * 3
    with pytest.raises(ValueError, match=message):
        get_positions(table, position)


def test_empty_table():
    assert len(get_positions(Table({"ra": np.zeros(0), "dec": np.zeros(0)}))) == 0


@given(st.lists(st.tuples(st.floats(), st.floats()), min_size=1, max_size=8))
def test_any_numbers(pairs):
    ra, dec = np.array(pairs).T
    coords = get_positions(Table({"ra": ra, "dec": dec}))
    good = np.isfinite(coords.ra.deg)
    assert (good == np.isfinite(coords.dec.deg)).all()
    np.testing.assert_allclose(coords.dec.deg[good], dec[good])
    np.testing.assert_allclose((coords.ra.deg[good] - ra[good] + 180) % 360, 180)


@pytest.mark.parametrize("unit", ["DEGREE", "degrees", "DEG", "[deg]", "Degrees", "(deg)"])
def test_units_of_degrees_in_many_spellings(unit):
    table = Table({"ra": [150.1], "dec": [2.2]})
    for name in ("ra", "dec"):
        table[name].unit = u.Unit(unit, parse_strict="silent")
    coords = get_positions(table)
    assert (coords.ra.deg[0], coords.dec.deg[0]) == pytest.approx((150.1, 2.2))


def test_other_units_in_capitals():
    table = Table({"ra": [10.0], "dec": [0.5]})
    table["ra"].unit = u.Unit("HOURS", parse_strict="silent")
    table["dec"].unit = u.Unit("RADIANS", parse_strict="silent")
    coords = get_positions(table)
    assert coords.ra.deg[0] == pytest.approx(150.0)
    assert coords.dec.deg[0] == pytest.approx(np.degrees(0.5))


@pytest.mark.parametrize(
    "names",
    [
        ("RA_1", "DEC_1"),
        ("ra_x", "dec_x"),
        ("TARGET_RA", "TARGET_DEC"),
        ("coord_ra", "coord_dec"),
        ("RA (deg)", "Dec (deg)"),
        ("R.A.", "Decl."),
        ("MatchRA", "MatchDec"),
        ("RAJ2000_1", "DEJ2000_1"),
        ("sup_ra", "sup_dec"),
    ],
)
def test_names_of_matched_tables_and_surveys(names, recwarn):
    table = Table([RA, DEC, RA, DEC], names=[*names, "pmra", "pmdec"])
    assert find_position(table) == names
    assert_positions(get_positions(table))
    assert not recwarn


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("RA_1 DEC_1 RA_2 DEC_2", ("RA_1", "DEC_1")),
        ("RA_2 DEC_2 RA_1 DEC_1", ("RA_1", "DEC_1")),
        ("ra_x dec_x ra_y dec_y", ("ra_x", "dec_x")),
    ],
)
def test_the_first_of_matched_tables_is_used_and_named(names, found):
    table = Table([[1.0]] * 4, names=names.split())
    with pytest.warns(ShredfinderWarning, match=r"several matched tables: .*_[1x]'\) is used, not"):
        assert find_position(table) == found


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("RAJ2000 DEJ2000 _RAJ2000 _DEJ2000", ("_RAJ2000", "_DEJ2000")),
        ("ALPHA_J2000 DELTA_J2000 ALPHAWIN_J2000 DELTAWIN_J2000",
         ("ALPHAWIN_J2000", "DELTAWIN_J2000")),
        ("raStack decStack raMean decMean", ("raMean", "decMean")),
    ],
)  # fmt: skip
def test_positions_of_one_catalogue_in_order_of_preference(names, found):
    assert find_position(Table([[1.0]] * len(names.split()), names=names.split())) == found


@pytest.mark.parametrize("names", ["ra_err dec_err", "host_ra host_dec", "pmra pmdec", "ra1 dec1"])
def test_other_columns_are_no_positions(names):
    with pytest.raises(ValueError, match="no position was found"):
        find_position(Table([[1.0]] * 2, names=names.split()))


@pytest.mark.parametrize(
    ("unit", "degrees"),
    [
        ("°", 1.5), ("deg.", 1.5), ("DEGREES", 1.5), ("[rad]", np.degrees(1.5)),
        ("Radians", np.degrees(1.5)), ("H", 22.5), ("hours", 22.5), ("HOURANGLE", 22.5),
        ("ARCSEC", 1.5 / 3600), ("arcseconds", 1.5 / 3600), ("[arcmin]", 0.025),
    ],
)  # fmt: skip
def test_units_of_angles_in_all_usual_spellings(unit, degrees):
    table = Table({"ra": [1.5], "dec": [0.2]})
    table["ra"].unit = u.Unit(unit, parse_strict="silent")
    assert get_positions(table).ra.deg == pytest.approx([degrees])
