import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from astropy.utils.masked import Masked

from shredfinder.config import conf
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.hosts import join_hosts, match_hosts, read_hosts, read_nsa
from tests.conftest import needs

N = 50


@pytest.fixture
def nsa_file(tmp_path):
    """A file with the columns of nsa_v1_0_1.fits, and some that are not read."""
    rng = np.random.default_rng(1)
    columns = [
        fits.Column("IAUNAME", "19A", array=["J0"] * N),
        fits.Column("RA", "D", array=rng.uniform(0, 360, N)),
        fits.Column("DEC", "D", array=rng.uniform(-10, 70, N)),
        fits.Column("NSAID", "J", array=np.arange(1000, 1000 + N)),
        fits.Column("Z", "E", array=np.linspace(-0.001, 0.2, N)),
        fits.Column("ZDIST", "E", array=np.linspace(-0.002, 0.2, N)),
        fits.Column("PETRO_TH50", "E", array=rng.uniform(1, 20, N)),
        fits.Column("PETRO_TH90", "E", array=rng.uniform(2, 60, N)),
        fits.Column("PETRO_BA90", "E", array=rng.uniform(0.1, 1, N)),
        fits.Column("PETRO_PHI90", "E", array=rng.uniform(0, 180, N)),
        fits.Column("ELPETRO_FLUX", "7E", array=np.tile(10.0 ** np.arange(7), (N, 1))),
        fits.Column("ELPETRO_ABSMAG", "7E", array=np.tile(-np.arange(7.0) - 10, (N, 1))),
        fits.Column("EXTINCTION", "7E", array=np.tile(0.1 * np.arange(7), (N, 1))),
        fits.Column("PROFMEAN", "105E", array=np.zeros((N, 105))),
    ]
    path = tmp_path / "nsa.fits"
    fits.BinTableHDU.from_columns(columns).writeto(path)
    return path


def test_nsa_columns_units_and_redshift_limit(nsa_file):
    hosts = read_nsa(nsa_file)
    z = np.linspace(-0.001, 0.2, N).astype(np.float32)
    assert hosts["host_id"].tolist() == (1000 + np.flatnonzero(z < 0.15)).tolist()
    assert hosts["zdist"].tolist() == np.linspace(-0.002, 0.2, N).astype("f4")[z < 0.15].tolist()
    assert hosts["ra"].unit == u.deg
    assert hosts["petro_th90"].unit == u.arcsec
    assert all(column.dtype.isnative for column in hosts.itercols())
    assert all(column.description for column in hosts.itercols())
    # The r band is the fifth: 22.5 - 2.5 * 4 - 0.4.
    np.testing.assert_allclose(hosts["r_mag"], 12.1, rtol=1e-6)
    np.testing.assert_allclose(hosts["r_absmag"], -14.0)
    assert len(read_nsa(nsa_file, z_max=None)) == N
    assert len(read_nsa(nsa_file, z_max=0.1)) == np.count_nonzero(z < 0.1)


def test_nsa_reads_only_the_requested_columns(nsa_file):
    assert read_nsa(nsa_file, columns=()).colnames == ["host_id", "ra", "dec", "z", "zdist"]
    assert read_nsa(nsa_file, columns=["r_mag"]).colnames[-1] == "r_mag"
    with pytest.raises(ValueError, match="'mass'"):
        read_nsa(nsa_file, columns=["mass"])


def test_nsa_of_another_version_lacks_columns(nsa_file, tmp_path):
    table = Table.read(nsa_file)
    table.remove_column("PETRO_BA90")
    path = tmp_path / "old.fits"
    table.write(path)
    with pytest.raises(KeyError, match="PETRO_BA90"):
        read_nsa(path)
    assert len(read_nsa(path, columns=["petro_th90"])) > 0


def test_nsa_magnitude_of_no_flux_is_nan(nsa_file, tmp_path):
    table = Table.read(nsa_file)
    table["ELPETRO_FLUX"][0] = -1.0
    path = tmp_path / "negative.fits"
    table.write(path)
    assert np.isnan(read_nsa(path)["r_mag"]).tolist()[:2] == [True, False]


def test_nsa_goes_straight_to_matching(nsa_file):
    hosts = read_nsa(nsa_file)
    with pytest.warns(ShredfinderWarning, match="without a finite and positive distance"):
        matches = match_hosts(hosts["ra", "dec"], hosts)
    # zdist is negative for the first host, and positive for all others.
    assert matches["host_id"].tolist() == hosts["host_id"].tolist()[1:]


def test_nsa_wrong_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_nsa(tmp_path / "none.fits")
    page = tmp_path / "page.fits"
    page.write_text("<html>We are down for maintenance</html>" * 100)
    with pytest.raises(OSError, match="not a FITS file"):
        read_nsa(page)
    image = tmp_path / "image.fits"
    fits.PrimaryHDU(np.zeros((2, 2))).writeto(image)
    with pytest.raises(ValueError, match="has no table"):
        read_nsa(image)


def test_nsa_download_uses_the_url_and_the_cache(nsa_file, tmp_path, monkeypatch):
    asked = []

    def download_file(url, cache, show_progress):
        asked.append((url, cache))
        return str(nsa_file)

    monkeypatch.setattr("astropy.utils.data.download_file", download_file)
    assert len(read_nsa()) > 0
    read_nsa(url="http://localhost/nsa.fits", cache=False)
    with conf.set_temp("nsa_url", "http://localhost/other.fits"):
        read_nsa()
    assert asked == [
        ("https://data.sdss.org/sas/dr17/sdss/atlas/v1/nsa_v1_0_1.fits", True),
        ("http://localhost/nsa.fits", False),
        ("http://localhost/other.fits", True),
    ]


def test_nsa_invalid_download_is_reported(tmp_path, monkeypatch):
    page = tmp_path / "page"
    page.write_text("Service unavailable " * 300)
    monkeypatch.setattr("astropy.utils.data.download_file", lambda *a, **k: str(page))
    with pytest.raises(OSError, match=r"localhost.*clear_download_cache"):
        read_nsa(url="http://localhost/nsa.fits")


def test_nsa_through_a_file_url(nsa_file, tmp_path):
    hosts = read_nsa(url=nsa_file.as_uri(), cache=False, progress=False)
    assert len(hosts) == len(read_nsa(nsa_file))


@pytest.fixture
def table():
    return Table(
        {
            "Name": ["A", "B", "C"],
            "RAJ2000": [10.0, 20.0, 30.0],
            "DEJ2000": np.ma.array([1.0, 2.0, 3.0], mask=[False, False, True]),
            "D": [4000.0, 5000.0, np.nan] * u.kpc,
            "cz": [0.001, 0.002, 0.003],
            "PA": [0.0, 90.0, 10.0],
        }
    )


def test_read_hosts(table):
    hosts = read_hosts(table, host_id="name", redshift="cz", distance="D", extra=["PA"])
    assert hosts.colnames == ["host_id", "ra", "dec", "zdist", "distance", "pa"]
    assert hosts["host_id"].tolist() == ["A", "B", "C"]
    assert hosts["distance"].unit == u.Mpc
    np.testing.assert_allclose(hosts["distance"], [4.0, 5.0, np.nan])
    assert np.isnan(hosts["ra"]).tolist() == [False, False, True]
    table.rename_columns(["Name", "RAJ2000", "DEJ2000"], ["label", "x", "y"])
    hosts = read_hosts(table, position=("x", "y"), redshift="cz")
    assert hosts["host_id"].tolist() == [0, 1, 2]
    assert hosts.colnames == ["host_id", "ra", "dec", "zdist"]


def test_read_hosts_from_a_file(table, tmp_path):
    path = tmp_path / "hosts.ecsv"
    table.write(path)
    hosts = read_hosts(path, distance="D")
    np.testing.assert_allclose(hosts["distance"], [4.0, 5.0, np.nan])
    with pytest.warns(ShredfinderWarning, match="1 of 3 hosts are ignored"):
        matches = match_hosts(hosts["ra", "dec"][:2], hosts)
    assert matches["host_id"].tolist() == ["A", "B"]


def test_read_hosts_wrong_input(table):
    with pytest.raises(KeyError, match="no column zdist, z or distance was found"):
        read_hosts(table)
    with pytest.raises(ValueError, match="no position was found in the hosts"):
        read_hosts(table["Name", "cz"], redshift="cz")
    table["D"].unit = "mag"
    with pytest.raises(u.UnitsError, match="D must be in Mpc"):
        read_hosts(table, distance="D")


@needs("pyarrow")
@pytest.mark.parametrize("format", [None, "parquet"])
def test_parquet_is_read_as_for_catalogues(tmp_path, format):
    import pyarrow as pa
    from pyarrow import parquet

    columns = {"ra": [1.0, 2.0], "dec": [3.0, 4.0], "z": [0.01, 0.02], "pgc": [2**62 + 1, None]}
    # astropy's reader fails on null strings, and its threads may abort Python at its exit.
    rows = pa.table(columns | {"type": ["Sc", None]})
    parquet.write_table(rows, tmp_path / "hosts.parquet")
    hosts = read_hosts(tmp_path / "hosts.parquet", host_id="pgc", format=format)
    assert int(hosts["host_id"][0]) == 2**62 + 1


def test_an_unknown_format_is_named(tmp_path):
    (tmp_path / "hosts.csv").write_text("ra,dec,z\n1,2,0.01\n")
    with pytest.raises(ValueError, match="astropy does not know the format 'cvs'"):
        read_hosts(tmp_path / "hosts.csv", format="cvs")


@pytest.mark.parametrize("kind", ["column", "astropy", "file"])
@pytest.mark.parametrize("names", [["a", "b"], [7, 8]])
def test_masked_names_stay_masked(kind, names, tmp_path):
    column = MaskedColumn(names, mask=[False, True])
    if kind == "astropy":
        column = Masked(np.array(names), mask=column.mask)
    source = Table({"name": column, "ra": [10.0, 20.0], "dec": [0.0] * 2, "distance": [20.0] * 2})
    if kind == "file":
        source.write(tmp_path / "hosts.ecsv")
        source = tmp_path / "hosts.ecsv"
    hosts = read_hosts(source)
    assert hosts["host_id"].tolist() == [names[0], None]
    candidates = Table({"ra": [20.01, 10.01], "dec": [0.0, 0.0]})
    assert join_hosts(candidates, hosts)["host_id"].tolist() == [None, names[0]]
    assert match_hosts(candidates, hosts)["host_id"].tolist() == [None, names[0]]
