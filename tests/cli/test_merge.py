"""The command ``shredfinder merge``."""

import numpy as np
import pytest
from astropy.io import fits

from shredfinder import ShredTable
from shredfinder.cli import main
from shredfinder.datasets import make_shredded_field
from shredfinder.table import read_catalogue


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("merge")
    field = make_shredded_field(512, 2, n_dwarfs=1, n_pairs=0, random_state=1)
    table = ShredTable(field.sources)
    table["p_cnn"] = np.where(table["label"] == "shred", 0.97, 0.02)
    table.write(folder / "scored.fits")
    names = [f"{name}.png" for name in table["objID"]]
    field.cutouts().write(folder / "cutouts", names=names)
    (folder / "images").mkdir()
    for band, plane in zip(field.bands, field.fluxes, strict=True):
        header = field.wcs.to_header()
        header["FILTER"] = band
        image = fits.PrimaryHDU(plane * np.float32(field.native_per_pixel), header)
        image.writeto(folder / "images" / f"field-{band}.fits")
    return folder


def test_merge_writes_galaxies_and_parents(scored, tmp_path, capsys):
    pytest.importorskip("photutils")
    output, parents = tmp_path / "galaxies.fits", tmp_path / "parents.ecsv"
    command = ["merge", str(scored / "scored.fits"), "-o", str(output)]
    extra = ["--cutouts", str(scored / "cutouts"), "--parents", str(parents)]
    assert main([*command, *extra]) == 0
    table, galaxies = read_catalogue(scored / "scored.fits"), read_catalogue(output)
    assert len(galaxies) < len(table)
    assert f"{len(table)} sources" in capsys.readouterr().err
    found = read_catalogue(parents)
    assert found["id"].tolist() == table["objID"].tolist()
    total = np.sum(table["flux_r"])
    assert np.sum(galaxies["flux_r"]) == pytest.approx(total)
    # The output is not replaced without being asked.
    assert main(command) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_merge_with_hosts(scored, tmp_path):
    table = read_catalogue(scored / "scored.fits")
    hosts = tmp_path / "hosts.ecsv"
    ShredTable(
        {
            "host_id": ["A"],
            "ra": [float(np.mean(table["ra"]))],
            "dec": [float(np.mean(table["dec"]))],
            "distance": [20.0],
            "petro_th90": [600.0],
            "petro_ba90": [1.0],
            "petro_phi90": [0.0],
        }
    ).write(hosts)
    output = tmp_path / "galaxies.ecsv"
    command = ["merge", str(scored / "scored.fits"), "--hosts", str(hosts), "-o", str(output)]
    assert main(command) == 0
    # All shreds are in that one ellipse.
    galaxies = read_catalogue(output)
    assert np.count_nonzero(galaxies["n_shreds"]) == 1


def test_merge_with_images(scored, tmp_path, capsys):
    pytest.importorskip("photutils", minversion="3")
    pytest.importorskip("skimage")
    output = tmp_path / "galaxies.fits"
    command = ["merge", str(scored / "scored.fits"), "-o", str(output), "--method", "image"]
    assert main([*command, "--images", str(scored / "images")]) == 0
    galaxies = read_catalogue(output)
    measured = np.isfinite(galaxies["half_light_radius"])
    assert np.count_nonzero(measured) >= np.count_nonzero(galaxies["n_shreds"]) > 0
    assert "measured in images" in capsys.readouterr().err


def test_colours_of_another_survey(scored, tmp_path, capsys):
    pytest.importorskip("photutils")
    # Fluxes behind the colours of Pan-STARRS1's images are unknown.
    command = ["merge", str(scored / "scored.fits"), "-o", str(tmp_path / "galaxies.fits")]
    cutouts = ["--cutouts", str(scored / "cutouts"), "--survey", "ps1"]
    assert main([*command, *cutouts]) == 1
    assert "are unknown" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--images", "bricks/"], "--images and --base-url are for --method image"),
        (["--method", "image", "--images", "nowhere/"], "nowhere"),
        (["--method", "image", "--images", ".", "--base-url", "http://x"], "address of a service"),
        (["--pattern", "{objID}.png"], "give the folder as --cutouts"),
        (["--id", "nothing"], "no column 'nothing'"),
        (["--cutouts", "nowhere"], "nowhere"),
    ],
)
def test_wrong_arguments_are_refused(scored, tmp_path, capsys, extra, message):
    command = ["merge", str(scored / "scored.fits"), "-o", str(tmp_path / "out.fits"), *extra]
    assert main(command) == 1
    assert message in capsys.readouterr().err


def test_unscored_catalogues_are_refused(scored, tmp_path, capsys):
    table = read_catalogue(scored / "scored.fits")
    table.remove_column("p_cnn")
    table.write(tmp_path / "raw.fits")
    assert main(["merge", str(tmp_path / "raw.fits"), "-o", str(tmp_path / "out.fits")]) == 1
    error = capsys.readouterr().err
    assert "no column 'p_cnn'" in error
    assert len(error.splitlines()) == 1
