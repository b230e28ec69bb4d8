"""The commands of the pipeline, against servers on loopback."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from shredfinder.cli import main
from tests.cli.test_refusals import no_scoring
from tests.conftest import needs
from tests.pipeline.conftest import servers, services, sky
from tests.pipeline.world import make_legacy

__all__ = ["no_scoring", "servers", "services", "sky"]


@pytest.fixture
def where(services, tmp_path):
    return [*services.options, "--cache", str(tmp_path / "cutouts"), "--radius", "0.12 deg"]


@pytest.mark.slow
@needs("jinja2", "matplotlib")
def test_the_first_command_of_the_guide(services, where, tmp_path, capsys):
    clean, scored = tmp_path / "ngc2903.fits", tmp_path / "scored.vot"
    report = tmp_path / "ngc2903.html"
    command = ["run", "--host", "NGC 2903", "--survey", "legacy-dr9", "-o", str(clean), *where]
    extra = ["--scored", str(scored), "--report", str(report), "--save", str(tmp_path / "steps")]
    assert main([*command, *extra, "--raw"]) == 0
    summary = capsys.readouterr().err
    assert "shred fraction" in summary
    table, everything = Table.read(clean), Table.read(scored)
    assert f"{len(table):>8}  without the entries of hosts" in summary
    assert 20 < len(table) < len(everything)
    assert (table["p_cnn"] < 0.5).all()
    assert {"rchisq_g", "host_id"} <= set(table.colnames)
    assert "<h2>The field</h2>" in report.read_text()
    # Files are replaced only with --overwrite. Then the saved steps are reused.
    assert main([*command, *extra, "--raw"]) == 1
    assert "add --overwrite" in capsys.readouterr().err
    services.catalogs.requests.clear()
    assert main([*command, *extra, "--raw", "--overwrite"]) == 0
    assert services.catalogs.requests == []
    assert len(Table.read(clean)) == len(table)


@pytest.mark.parametrize("place", ["{:.5f} {:+.5f}", "hmsdms", "{:.5f}, {:.5f}"])
def test_positions(services, where, sky, tmp_path, place):
    at = sky.center
    text = at.to_string("hmsdms") if place == "hmsdms" else place.format(at.ra.deg, at.dec.deg)
    out = tmp_path / "out.ecsv"
    arguments = ["--center", text, "--survey", "sdss-dr17", "--hosts", "none", "-o", str(out)]
    assert main(["run", *where, *arguments, "--prior", "estimate"]) == 0
    table = Table.read(out)
    assert len(table) > 20
    assert table["separation"].max() <= 0.12 * 3600


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--center", "north"], "right ascension and declination"),
        (["--radius", "near"], "--radius must be an angle"),
        (["--cuts", "mine"], "no cut preset"),
        (["--report", "report.docx"], "an .html or .pdf file"),
        (["-o", "out.nonsense"], "no table format"),
        (["--hosts", "nowhere.csv"], "does not exist"),
        (["--cutouts", "."], "leave out --base-url"),
    ],
)
def test_errors_are_one_line(services, where, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    given = ["run", *where, "-o", "out.fits"]
    if "--center" not in arguments:
        given += ["--host", "NGC 2903"]
    assert main([*given, *arguments]) == 1
    [line] = capsys.readouterr().err.strip().splitlines()[-1:]
    assert line.startswith("shredfinder: error:")
    assert message in line
    assert not (tmp_path / "out.fits").exists()


def test_fractions(services, sky, tmp_path, capsys):
    path, out = tmp_path / "sweep.fits", tmp_path / "fractions.ecsv"
    make_legacy(sky).write(path)
    images = ["--base-url", f"{services.images.url}/viewer", "--rate", "0"]
    images += ["--cache", str(tmp_path / "cutouts")]
    hosts = ["--hosts", str(services.images.nsa)]
    assert main(["fractions", str(path), *images, *hosts, "-o", str(out)]) == 0
    printed = capsys.readouterr().out
    found = Table.read(out)
    assert found["preset"].tolist() == ["paper", "paper-no-rchisq", "saga-later", "saga-dr3"]
    assert all(name in printed for name in found["preset"])
    strict, loose = found["n_shreds"][:2]
    assert loose > strict > 0
    # An existing column p_cnn is used: nothing is fetched.
    table = make_legacy(sky)
    table["p_cnn"] = 0.7
    table.write(path, overwrite=True)
    services.images.requests.clear()
    assert main(["fractions", str(path), "--cuts", "paper", "-o", str(out), "--overwrite"]) == 0
    assert services.images.requests == []
    assert Table.read(out)["shred_fraction"].tolist() == [1.0]


def test_pool(services, where, tmp_path, capsys):
    scored, out = tmp_path / "scored.fits", tmp_path / "pool.ecsv"
    command = ["run", "--host", "NGC 2903", *where, "-o", str(tmp_path / "clean.fits")]
    assert main([*command, "--scored", str(scored)]) == 0
    table = Table.read(scored)["objid", "ra", "dec", "r", "p_cnn", "p_cnn_flag"]
    table.write(scored, overwrite=True)
    hosts = ["--hosts", str(services.images.nsa)]
    capsys.readouterr()
    assert main(["pool", str(scored), *hosts, "-n", "10", "-o", str(out)]) == 0
    assert "10 sources to label" in capsys.readouterr().err
    pool = Table.read(out)
    assert np.count_nonzero(pool["p_cnn"] >= 0.5) == 4
    assert {"host_id", "sky_group", "label"} <= set(pool.colnames)
    assert (pool["separation"].quantity > 3 * u.arcsec).all()
    # Unscored candidates are scored first.
    table["objid", "ra", "dec"].write(scored, overwrite=True)
    images = ["--base-url", f"{services.images.url}/viewer", "--cache", str(tmp_path / "cutouts")]
    arguments = ["pool", str(scored), *hosts, *images, "-n", "10", "-o", str(out), "--overwrite"]
    assert main(arguments) == 0
    assert Table.read(out)["objid"].tolist() == pool["objid"].tolist()


def test_other_tables_and_position_columns(services, sky, tmp_path, capsys):
    """The second table of a file, with other names for the position columns."""
    rows = make_legacy(sky)
    rows["p_cnn"] = np.where(np.arange(len(rows)) % 2, 0.9, 0.1)
    rows["lon"], rows["lat"] = rows["ra"], rows["dec"]
    rows["ra"], rows["dec"] = 0.0, 89.0
    path, out = tmp_path / "several.fits", tmp_path / "out.ecsv"
    hdus = [fits.PrimaryHDU(), fits.table_to_hdu(rows[:1]), fits.table_to_hdu(rows)]
    fits.HDUList(hdus).writeto(path)
    hosts = ["--hosts", str(services.images.nsa), "-o", str(out), "--overwrite"]
    chosen = ["--table", "2", "--position", "lon", "lat"]
    for command in (["fractions", "--cuts", "paper"], ["pool", "-n", "10"]):
        name, *options = command
        assert main([name, str(path), *options, *hosts, *chosen]) == 0
        assert len(Table.read(out)) == (1 if name == "fractions" else 10)
        assert main([name, str(path), *options, *hosts, "--table", "7"]) == 1
        assert "several.fits" in capsys.readouterr().err
    assert main(["fractions", str(path), *hosts, "--table", "2"]) == 0
    assert Table.read(out)["n_rows"].tolist() == [0, 0, 0, 0]


@pytest.mark.usefixtures("no_scoring")
def test_tables_that_cannot_be_written_are_not_scored(services, sky, tmp_path, capsys):
    rows = make_legacy(sky)["ls_id", "ra", "dec"]
    rows["note"] = "ä"
    rows.write(tmp_path / "rows.ecsv")
    arguments = ["--hosts", "none", "-o", str(tmp_path / "pool.fits")]
    assert main(["pool", str(tmp_path / "rows.ecsv"), *arguments]) == 1
    assert "only ASCII" in capsys.readouterr().err
