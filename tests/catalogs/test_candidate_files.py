"""Catalogue files: the same rows as from the pure functions, read in chunks."""

import gzip
import tracemalloc

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table, vstack

from shredfinder import ShredTable
from shredfinder.catalogs import query_candidates, read_candidates
from shredfinder.cuts import candidate_cut
from tests.catalogs.skies import CENTER, make_legacy
from tests.catalogs.test_queries import SURVEYS, expected, ids


def sweep(table):
    """Convert a table to a sweep file's: upper case, no magnitudes, no identifier."""
    table = table.copy()
    table.remove_columns([c for c in table.colnames if c == "ls_id" or c.startswith("dered_mag")])
    for name in table.colnames:
        table.rename_column(name, name.upper())
    # Sweep files have array columns.
    table["APFLUX_R"] = np.zeros((len(table), 8), dtype="f4")
    return table


@pytest.fixture
def files(skies, tmp_path):
    """Write each survey's catalogue as a file in its usual format."""
    paths = {survey: tmp_path / f"{survey}.csv" for survey in SURVEYS}
    sweep(skies["legacy-dr9"]).write(tmp_path / "sweep.fits")
    skies["sdss-dr17"].write(paths["sdss-dr17"], format="ascii.csv")
    skies["ps1-dr2"].write(paths["ps1-dr2"], format="ascii.csv")
    return paths | {"legacy-dr9": tmp_path / "sweep.fits"}


def read(files, survey, **options):
    if survey == "ps1-dr2":
        options.setdefault("ebv", 0.04)
    return read_candidates(files[survey], survey, progress=False, **options)


@pytest.mark.parametrize("survey", SURVEYS)
@pytest.mark.parametrize("chunk_rows", [37, 900, 10**6])
@pytest.mark.filterwarnings("ignore:.* candidates of .* repeat the objid")
def test_rows_are_those_of_the_pure_functions(files, skies, survey, chunk_rows):
    table = read(files, survey, chunk_rows=chunk_rows)
    assert type(table) is ShredTable
    assert ids(table) == expected(skies, survey, radius=180 * u.deg)
    assert table.meta["nread"] == 900
    everything = read(files, survey, cuts=None, chunk_rows=chunk_rows)
    assert len(everything) == 900


def test_files_and_queries_agree(files, server):
    queried = query_candidates(
        "legacy-dr9", CENTER, 2.0, endpoint=server.tap, cache=False, progress=False
    )
    table = read(files, "legacy-dr9")
    assert table.colnames == queried.colnames
    queried.sort("objid")
    table.sort("objid")
    for name in table.colnames:
        assert table[name].unit == queried[name].unit
        assert table[name].meta == queried[name].meta
        if table[name].dtype.kind == "f":
            np.testing.assert_allclose(table[name], queried[name], rtol=3e-6)
        else:
            assert table[name].tolist() == queried[name].tolist()


def test_row_order_is_kept(files, skies):
    table = read(files, "sdss-dr17", chunk_rows=50)
    passed = candidate_cut(skies["sdss-dr17"], "sdss-dr17").passed
    assert table["objid"].tolist() == skies["sdss-dr17"]["objID"][passed].tolist()


@pytest.mark.filterwarnings("ignore:.* candidates of .* repeat the objid")
@pytest.mark.filterwarnings("ignore:.* no rows")
def test_other_file_formats(files, skies, tmp_path):
    passing = expected(skies, "sdss-dr17", radius=180 * u.deg)
    text = files["sdss-dr17"].read_text()
    lines = text.splitlines()
    # SkyServer's responses begin with the table's name and contain null.
    named = tmp_path / "named.csv"
    fields = ["null" if i in (5, 6) else field for i, field in enumerate(lines[1].split(","))]
    named.write_text("\ufeff#Table1\n" + "\n".join([*lines, ",".join(fields)]) + "\n")
    assert ids(read_candidates(named, "sdss-dr17")) == passing
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert ids(read_candidates(tmp_path / "a.csv.gz", "sdss-dr17")) == passing
    skies["sdss-dr17"].write(tmp_path / "casjobs.fit", format="fits")
    assert ids(read_candidates(str(tmp_path / "casjobs.fit"), "sdss-dr17")) == passing
    both = read_candidates([named, tmp_path / "casjobs.fit"], "sdss-dr17")
    assert ids(both) == sorted(2 * passing)
    assert both.meta["files"] == ["named.csv", "casjobs.fit"]
    (tmp_path / "header.csv").write_text(lines[0] + "\n")
    empty = read_candidates(tmp_path / "header.csv", "sdss-dr17")
    assert len(empty) == 0
    assert empty.colnames == both.colnames


def test_raw_columns(files):
    table = read(files, "legacy-dr9", columns=["flux_r", "OBJID", "maskbits"][:2])
    assert table.colnames[-2:] == ["FLUX_R", "OBJID"]
    assert "fracflux_g" in {c.lower() for c in read(files, "legacy-dr9", columns="all").colnames}
    with pytest.raises(KeyError, match=r"sweep\.fits lacks columns of legacy-dr9: maskbits"):
        read(files, "legacy-dr9", columns=["maskbits"])


def test_reddening_of_ps1(files, skies, tmp_path):
    with pytest.raises(KeyError, match="ps1-dr2 has no extinction: pass ebv="):
        read(files, "ps1-dr2", ebv=None)
    given = read(files, "ps1-dr2", ebv=lambda coords: np.full(len(coords), 0.04))
    assert ids(given) == expected(skies, "ps1-dr2", radius=180 * u.deg)
    joined = skies["ps1-dr2"].copy()
    joined["ebv"] = 0.04
    joined.write(tmp_path / "joined.csv", format="ascii.csv")
    table = read_candidates(tmp_path / "joined.csv", "ps1-dr2")
    assert ids(table) == ids(given)
    assert table["ebv"].unit == u.mag
    assert set(table["ebv"]) == {0.04}


def test_bad_files(tmp_path, files):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_candidates(tmp_path / "none.fits")
    (tmp_path / "a.xyz").write_bytes(b"page")
    with pytest.raises(ValueError, match=r"unknown format of catalogue a\.xyz: use FITS, CSV"):
        read_candidates(tmp_path / "a.xyz")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match="is empty"):
        read_candidates(tmp_path / "empty.csv", "sdss-dr17")
    fits.PrimaryHDU(np.zeros((4, 4))).writeto(tmp_path / "image.fits")
    with pytest.raises(ValueError, match="holds no table"):
        read_candidates(tmp_path / "image.fits")
    with pytest.raises(KeyError, match="lacks columns of legacy-dr9: release, brickid\\."):
        read_candidates(files["sdss-dr17"], "legacy-dr9")
    without = Table.read(files["sdss-dr17"])
    without.remove_column("petroR50_r")
    without.write(tmp_path / "without.csv", format="ascii.csv")
    with pytest.raises(KeyError, match="petroR50_r"):
        read_candidates(tmp_path / "without.csv", "sdss-dr17")
    with pytest.raises(ValueError, match="chunk_rows"):
        read(files, "sdss-dr17", chunk_rows=0)
    with pytest.raises(ValueError, match="at least one file"):
        read_candidates([])


def test_memory_does_not_grow_with_file_size(tmp_path):
    once = sweep(make_legacy(1000))
    once["TYPE"] = "PSF"  # nothing passes, so that only reading uses memory
    once.write(tmp_path / "small.fits")
    vstack([once] * 10).write(tmp_path / "large.fits")
    peaks = []
    for name in ("small.fits", "small.fits", "large.fits"):
        tracemalloc.start()
        assert len(read_candidates(tmp_path / name, chunk_rows=500, progress=False)) == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.3 * peaks[1]
