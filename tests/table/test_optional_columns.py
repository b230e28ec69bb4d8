"""Optional columns: scatter and novelty."""

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from shredfinder import ShredClassifier, ShredTable, add_p_cnn
from shredfinder.bulk import classify_catalogue
from shredfinder.cli import main
from shredfinder.datasets import make_field
from shredfinder.models import adjust_prior
from shredfinder.models.model import symmetric_views

NAMES = ["p_cnn", "p_cnn_flag", "p_cnn_std", "p_cnn_novelty"]


@pytest.fixture(scope="module")
def images():
    images = make_field(size=512, n_hosts=4, random_state=5).cutouts().images[:12].copy()
    images[3] = 32
    images[4] = np.random.default_rng(0).integers(0, 255, (128, 128, 3))
    return images


@pytest.fixture
def table():
    return ShredTable({"objID": np.arange(12)})


def test_std_is_the_scatter_over_8_symmetries(images):
    classifier = ShredClassifier.load()
    details = classifier.predict_details(images)
    views = [classifier.predict_p_cnn(view)[0] for view in (images, *symmetric_views(images))]
    expected = np.std(np.array(views, float), axis=0)
    np.testing.assert_allclose(details["p_cnn_std"], expected, atol=1e-5)
    assert details["p_cnn_std"].dtype == np.float32
    assert np.isnan(details["p_cnn_std"][3])
    assert np.isnan(details["p_cnn_novelty"][3])
    np.testing.assert_allclose(details["p_cnn"], classifier.predict_p_cnn(images)[0], rtol=1e-4)
    # At the same prior as p_cnn.
    corrected = classifier.predict_details(images, prior=0.05)
    trained = classifier.model_.description.training_prior
    expected = adjust_prior(np.array(views, float), 0.05, trained).std(axis=0)
    np.testing.assert_allclose(corrected["p_cnn_std"], expected, atol=1e-5)


@pytest.mark.filterwarnings("ignore:only .* scored sources")
@pytest.mark.parametrize("symmetry", ["none", "uncertain", "all"])
def test_std_does_not_change_p_cnn(images, symmetry):
    classifier = ShredClassifier.load().set_params(symmetry=symmetry)
    details = classifier.predict_details(images, prior="estimate", novelty=False)
    plain, _ = classifier.predict_p_cnn(images, prior="estimate")
    np.testing.assert_allclose(details["p_cnn"], plain, rtol=1e-4)


def test_tables_get_the_requested_columns(images, table):
    add_p_cnn(table, cutouts=images, std=True, novelty=True)
    assert table.colnames == ["objID", *NAMES]
    assert table["p_cnn_novelty"].info.meta["shredfinder"]["model"]
    assert table["p_cnn_novelty"][4] > 1
    assert np.isfinite(table["p_cnn"][4])
    assert table["p_cnn_flag"][4] == ""
    # Columns of an earlier scoring would not belong to the new p_cnn.
    add_p_cnn(table, cutouts=images, novelty=True)
    assert table.colnames == ["objID", "p_cnn", "p_cnn_flag", "p_cnn_novelty"]
    add_p_cnn(table, cutouts=images)
    assert table.colnames == ["objID", "p_cnn", "p_cnn_flag"]


def test_foreign_columns_are_kept(images):
    table = Table({"objID": np.arange(12), "p_cnn_std": np.arange(12.0)})
    with pytest.raises(ValueError, match="'p_cnn_std' that shredfinder did not write"):
        add_p_cnn(table, cutouts=images, std=True)
    add_p_cnn(table, cutouts=images)
    assert table["p_cnn_std"].tolist() == list(range(12))


@pytest.mark.parametrize("suffix", ["fits", "parquet", "ecsv", "csv", "vot"])
def test_files_keep_the_columns(images, table, tmp_path, suffix):
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    for name, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    source, output = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
    table.write(source, format="votable" if suffix == "vot" else None)
    scored = classify_catalogue(
        source, output, cutouts=tmp_path, pattern="{objID}.png", std=True, novelty=True, prior=0.1
    )
    expected = ShredClassifier.load().predict_details(images, prior=0.1)
    found = ShredTable.read(output, format="votable" if suffix == "vot" else None)
    assert found.colnames == ["objID", *NAMES]
    for name in NAMES[2:]:
        np.testing.assert_allclose(scored[name], expected[name], rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(np.asarray(found[name]), scored[name], rtol=1e-6)
    if suffix != "csv":
        # They are recognised as shredfinder's own.
        add_p_cnn(found, cutouts=images)
        assert found.colnames == ["objID", "p_cnn", "p_cnn_flag"]


def test_interrupted_runs_resume_with_all_columns(images, table, tmp_path, monkeypatch):
    for name, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    table.write(tmp_path / "in.fits")
    options = {"cutouts": tmp_path, "pattern": "{objID}.png", "chunk_size": 5, "std": True}
    whole = classify_catalogue(tmp_path / "in.fits", tmp_path / "whole.fits", **options)
    classifier, calls = ShredClassifier.load(), []
    score = ShredClassifier.score_images

    def stop_at_third(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return score(self, *args, **kwargs)

    monkeypatch.setattr(ShredClassifier, "score_images", stop_at_third)
    arguments = tmp_path / "in.fits", tmp_path / "out.fits", classifier
    with pytest.raises(KeyboardInterrupt):
        classify_catalogue(*arguments, **options)
    with pytest.raises(ValueError, match="differs in optional"):
        classify_catalogue(*arguments, **(options | {"std": False}), resume=True)
    resumed = classify_catalogue(*arguments, **options, resume=True)
    assert len(calls) == 4
    np.testing.assert_array_equal(resumed["p_cnn_std"], whole["p_cnn_std"])


def test_command_counts_images_unlike_the_training_set(images, table, tmp_path, capsys):
    for name, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    table.write(tmp_path / "in.ecsv")
    arguments = ["classify", tmp_path / "in.ecsv", "--cutouts", tmp_path, "-o", tmp_path / "o.ecsv"]
    assert main([*map(str, arguments), "--novelty", "--std"]) in (0, None)
    assert "1 unlike the training set" in capsys.readouterr().err
    assert Table.read(tmp_path / "o.ecsv").colnames == ["objID", *NAMES]
