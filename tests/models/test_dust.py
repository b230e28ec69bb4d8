"""Images are corrected for extinction before they are scored."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from PIL import Image

from shredfinder import Cutouts, ShredClassifier, add_p_cnn
from shredfinder.bulk import classify_catalogue
from shredfinder.cli.main import main
from shredfinder.cutouts import CutoutFetcher, LocalImages
from shredfinder.datasets import make_field
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.imaging import deredden_images
from shredfinder.table.summaries import summarize_scores
from shredfinder.training import redden_image


@pytest.fixture(scope="module")
def classifier():
    return ShredClassifier.load()


@pytest.fixture(scope="module")
def clean():
    """Simulated images without dust."""
    return make_field(size=1024, n_hosts=6, random_state=4).cutouts().images


@pytest.fixture(scope="module")
def ebv(clean):
    return np.random.default_rng(0).uniform(0.1, 0.5, len(clean)).astype(np.float32)


@pytest.fixture(scope="module")
def cutouts(clean, ebv):
    """The same images behind dust."""
    rng = np.random.default_rng(1)
    images = [redden_image(image, e, rng) for image, e in zip(clean, ebv, strict=True)]
    return Cutouts.of_survey("legacy-dr9", np.stack(images))


def test_correction_restores_the_scores(classifier, clean, cutouts, ebv):
    truth = classifier.predict_p_cnn(clean)[0]
    dusty = classifier.predict_p_cnn(cutouts)[0]
    corrected = classifier.predict_p_cnn(cutouts, ebv=ebv)[0]
    known = np.isfinite(truth) & np.isfinite(dusty) & np.isfinite(corrected)
    assert known.sum() > 50

    def error(p):
        return np.mean(np.abs(p - truth)[known])

    assert error(corrected) < 0.75 * error(dusty)


def test_scores_are_those_of_corrected_images(classifier, cutouts, ebv):
    corrected = deredden_images(cutouts.images, ebv)
    expected = classifier.predict_proba(corrected)
    np.testing.assert_array_equal(classifier.predict_proba(cutouts, ebv=ebv), expected)
    # In batches, and for images as floats.
    by_batches = classifier.predict_p_cnn(cutouts, ebv=ebv, batch_size=7)[0]
    np.testing.assert_allclose(by_batches, expected[:, 1], atol=1e-5)
    floats = (cutouts.images / 255).astype(np.float32)
    np.testing.assert_allclose(
        classifier.predict_p_cnn(floats, ebv=ebv)[0], expected[:, 1], atol=1e-5
    )
    details = classifier.predict_details(cutouts, ebv=0.3)
    same = classifier.predict_details(deredden_images(cutouts.images, 0.3))
    for name in ("p_cnn", "p_cnn_std", "p_cnn_novelty"):
        np.testing.assert_allclose(details[name], same[name], atol=1e-5)


def test_zero_changes_nothing(classifier, cutouts):
    plain = classifier.predict_p_cnn(cutouts)[0]
    np.testing.assert_array_equal(classifier.predict_p_cnn(cutouts, ebv=0)[0], plain)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (-0.1, "not negative, got -0.1"),
        (np.nan, "finite"),
        ([0.1, 0.2], "shape"),
        (np.ma.masked_array([0.1] * 3, [0, 1, 0]), "replace unknown values by 0"),
    ],
)
def test_invalid_values(classifier, cutouts, wrong, message):
    with pytest.raises(ValueError, match=message):
        classifier.predict_p_cnn(cutouts[:3], ebv=wrong)


def test_fluxes_cannot_be_corrected():
    from types import SimpleNamespace

    from shredfinder.models.dust import check_ebv

    description = SimpleNamespace(name="fluxes", color_mapping="flux")
    assert check_ebv(0, 3, description) is None
    with pytest.raises(ValueError, match="'fluxes' are not in the colours of a survey"):
        check_ebv(0.1, 3, description)


# Tables


@pytest.fixture
def table(cutouts, ebv):
    return Table({"objID": np.arange(len(cutouts)), "EBV": ebv})


@pytest.fixture(scope="module")
def expected(classifier, cutouts, ebv):
    return classifier.predict_p_cnn(cutouts, ebv=ebv)[0]


def test_column_is_found(classifier, table, cutouts, expected):
    add_p_cnn(table, classifier, cutouts)
    np.testing.assert_array_equal(table["p_cnn"], expected)
    assert table["p_cnn"].meta["shredfinder"]["ebv"] == "column EBV"
    add_p_cnn(table, classifier, cutouts, ebv=0)
    np.testing.assert_array_equal(table["p_cnn"], classifier.predict_p_cnn(cutouts)[0])
    assert table["p_cnn"].meta["shredfinder"]["ebv"] == "0"
    add_p_cnn(table, classifier, cutouts, ebv=300 * u.mmag)
    assert table["p_cnn"].meta["shredfinder"]["ebv"] == "0.3"
    assert summarize_scores(table)[-1] == "images corrected for extinction with E(B-V) of 0.3 mag"


def test_other_columns_and_values(classifier, table, cutouts, ebv, expected):
    table["sfd"] = table["EBV"]
    table["EBV"] = 0.0
    for given in ("SFD", ebv, np.ma.masked_array(ebv)):
        add_p_cnn(table, classifier, cutouts, ebv=given)
        np.testing.assert_array_equal(table["p_cnn"], expected)
    with pytest.raises(KeyError, match="no column 'planck'"):
        add_p_cnn(table, classifier, cutouts, ebv="planck")
    with pytest.raises(ValueError, match=r"shape \(2,\), but the table has"):
        add_p_cnn(table, classifier, cutouts, ebv=[0.1, 0.2])


def test_unknown_values_are_reported(classifier, table, cutouts):
    table["EBV"][0] = np.nan
    table["EBV"][1] = -99
    with pytest.warns(ShredfinderWarning, match="missing or negative in 2 of"):
        add_p_cnn(table, classifier, cutouts)
    plain = classifier.predict_p_cnn(cutouts[:2])[0]
    np.testing.assert_allclose(table["p_cnn"][:2], plain, atol=1e-5)


@pytest.fixture
def folder(tmp_path, cutouts):
    (tmp_path / "images").mkdir()
    for i, image in enumerate(cutouts.images):
        Image.fromarray(image).save(tmp_path / "images" / f"{i}.png")
    return tmp_path / "images"


@pytest.mark.parametrize("name", ["catalogue.fits", "catalogue.parquet", "catalogue.csv"])
def test_files(classifier, table, folder, tmp_path, expected, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    table.write(tmp_path / name)
    scored = classify_catalogue(
        tmp_path / name, tmp_path / f"out-{name}", classifier, folder, chunk_size=20
    )
    np.testing.assert_allclose(scored.p_cnn, expected, atol=1e-5)


def test_runs_with_other_values_do_not_resume(classifier, table, folder, tmp_path, monkeypatch):
    table.write(tmp_path / "in.fits")
    paths = tmp_path / "in.fits", tmp_path / "out.fits", classifier, folder
    with pytest.raises(ValueError, match="name of a column or one value, got an array"):
        classify_catalogue(*paths, ebv=[0.1] * len(table))
    calls = []
    score = ShredClassifier.score_images

    def interrupt(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return score(*args, **kwargs)

    monkeypatch.setattr(ShredClassifier, "score_images", interrupt)
    with pytest.raises(KeyboardInterrupt):
        classify_catalogue(*paths, chunk_size=20)
    with pytest.raises(ValueError, match="ebv"):
        classify_catalogue(*paths, chunk_size=20, ebv=0.2, resume=True)
    scored = classify_catalogue(*paths, chunk_size=20, resume=True)
    assert np.isfinite(scored.p_cnn).sum() > 50


def test_command(table, folder, tmp_path, capsys, expected):
    table.rename_column("EBV", "sfd")
    table.write(tmp_path / "in.fits")
    base = ["classify", str(tmp_path / "in.fits"), "--cutouts", str(folder), "-o"]
    assert main([*base, str(tmp_path / "out.fits"), "--ebv", "sfd"]) == 0
    np.testing.assert_allclose(Table.read(tmp_path / "out.fits")["p_cnn"], expected, atol=1e-5)
    assert "corrected for extinction with E(B-V) from the column sfd" in capsys.readouterr().err
    assert main([*base, str(tmp_path / "plain.fits"), "--ebv", "0"]) == 0
    assert "corrected" not in capsys.readouterr().err
    assert main([*base, str(tmp_path / "wrong.fits"), "--ebv", "absent"]) != 0
    assert "no column 'absent'" in capsys.readouterr().err
    image = next(iter(sorted(folder.iterdir())))
    assert main(["classify", str(image), "--ebv", "sfd"]) != 0
    assert "give one value as --ebv" in capsys.readouterr().err
    assert main(["classify", str(image), "--ebv", "0.2"]) == 0
    with pytest.raises(SystemExit):
        main([*base, str(tmp_path / "wrong.fits"), "--ebv", "-1"])


@pytest.fixture(scope="module")
def service():
    field = make_field(size=700, n_hosts=4, random_state=2)
    planes = dict(zip(field.bands, [(plane, field.wcs) for plane in field.fluxes], strict=True))
    return LocalImages(planes, flux_scale=1), field.sources


def test_values_follow_the_order_of_the_service(classifier, service, tmp_path):
    """Cutouts come in the order on the sky, in which E(B−V) must follow."""
    service, sources = service
    rng = np.random.default_rng(3)
    table = Table({name: sources[name] for name in ("ra", "dec")})[rng.permutation(len(sources))]
    table["ebv"] = rng.choice([0.0, 0.8], len(table))
    cutouts = CutoutFetcher(service).fetch(table, progress=False)
    expected = classifier.predict_p_cnn(cutouts, ebv=table["ebv"])[0]
    assert np.isfinite(expected).sum() > 20
    table.write(tmp_path / "in.fits")
    add_p_cnn(table, classifier, service=service)
    np.testing.assert_allclose(table["p_cnn"], expected, atol=1e-5)
    scored = classify_catalogue(
        tmp_path / "in.fits", tmp_path / "out.fits", classifier, service=service, chunk_size=8
    )
    np.testing.assert_allclose(scored.p_cnn, expected, atol=1e-5)
