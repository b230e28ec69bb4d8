"""``shredfinder classify`` of images without a table."""

import numpy as np
import pytest
from PIL import Image

from shredfinder import ShredClassifier
from shredfinder.cli import main
from shredfinder.table import read_catalogue
from tests.conftest import galaxy_images


@pytest.fixture
def folder(tmp_path):
    """A folder of three images and other files."""
    folder = tmp_path / "images"
    (folder / "sub.png").mkdir(parents=True)
    for name, image in zip(("b.png", "a.JPG", "c.webp"), galaxy_images(3), strict=True):
        Image.fromarray(image).save(folder / name)
    (folder / "notes.txt").write_text("none")
    (folder / ".hidden.png").write_text("unfinished")
    return folder


@pytest.mark.filterwarnings("error")
def test_the_score_of_an_image_is_printed(folder, capsys):
    assert main(["classify", str(folder / "b.png")]) == 0
    p_cnn = ShredClassifier.load().predict_p_cnn(folder / "b.png")[0][0]
    assert capsys.readouterr().out == f"{folder / 'b.png'}: p_cnn {p_cnn:.3f}\n"


def test_folders_are_sorted_and_may_be_written(folder, tmp_path, capsys):
    output = tmp_path / "scores.csv"
    assert main(["classify", str(folder), "--std", "-o", str(output)]) == 0
    printed = capsys.readouterr()
    names = [line.partition(":")[0] for line in printed.out.splitlines()]
    assert names == [str(folder / name) for name in ("a.JPG", "b.png", "c.webp")]
    assert "p_cnn_std" in printed.out
    assert "3 sources, 3 scored" in printed.err
    table = read_catalogue(output)
    assert table["path"].tolist() == names
    np.testing.assert_allclose(
        table["p_cnn"], ShredClassifier.load().predict_p_cnn(folder)[0], rtol=1e-5
    )


def test_images_that_cannot_be_scored(folder, tmp_path, capsys):
    (folder / "d.png").write_text("no image")
    assert main(["classify", str(folder)]) == 0
    assert f"{folder / 'd.png'}: unscored (not an image)" in capsys.readouterr().out
    assert main(["classify", str(folder / "d.png")]) == 1
    assert "none of 1 sources was scored" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.png"], "the image 'nowhere.png' does not exist"),
        (["{folder}/b.png", "--pattern", "{{objID}}.png"], "leave out --pattern"),
        (["{folder}/b.png", "--service", "ps1"], "leave out --service"),
        (["{empty}"], "holds no image"),
        (["table.csv"], "name it as -o OUT"),
    ],
)
def test_refusals(arguments, message, folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    names = {"folder": folder, "empty": tmp_path / "empty"}
    assert main(["classify", *(text.format(**names) for text in arguments)]) == 1
    assert message in capsys.readouterr().err
