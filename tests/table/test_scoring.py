import inspect

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table
from astropy.time import Time
from astropy.wcs import WCS

from shredfinder import Cutouts, ShredClassifier, ShredQTable, ShredTable, add_p_cnn, conf
from shredfinder.cutouts import CutoutFetcher, LocalImages
from shredfinder.datasets import example_cutouts
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.imaging import CutoutSequence, ImageFiles
from shredfinder.models import adjust_prior, estimate_prior
from shredfinder.models.calibration import Scores

from .conftest import FACTS, assert_split, make_cutouts, make_table

CLASSES = [Table, QTable, ShredTable, ShredQTable]


@pytest.mark.parametrize("cls", CLASSES)
def test_columns(cls, classifier, cutouts):
    table = make_table(cls)
    before = table.copy()
    assert add_p_cnn(table, classifier, cutouts) is None
    assert table.colnames == [*before.colnames, "p_cnn", "p_cnn_flag"]
    p_cnn, flags = table["p_cnn"], table["p_cnn_flag"]
    assert p_cnn.dtype == np.float32
    assert not hasattr(p_cnn, "mask")
    np.testing.assert_allclose(p_cnn, [0.2, np.nan, 0.8, np.nan, 0.5, np.nan], rtol=1e-5)
    assert flags.tolist() == ["", "blank", "", "failed", "", "no coverage"]
    assert flags.dtype.kind == "U"
    assert_split(table, 3)
    for name in before.colnames:
        assert type(table[name]) is type(before[name])
        assert np.all(table[name] == before[name])
    assert table.meta == before.meta


def test_metadata(classifier, cutouts):
    table = make_table()
    add_p_cnn(table, classifier, cutouts, prior=np.float32(0.0625))
    for name, ucd in (("p_cnn", "stat.probability"), ("p_cnn_flag", "meta.code")):
        meta = table[name].meta
        assert meta["ucd"] == ucd
        assert meta["shredfinder"].items() >= classifier.provenance.items()
        assert meta["shredfinder"]["prior"] == 0.0625
        assert type(meta["shredfinder"]["prior"]) is float
        assert "brightness 1.0" in table[name].description
        assert "0123456789ab" in table[name].description
    assert "at a shred fraction of 0.0625" in table["p_cnn"].description
    add_p_cnn(table, classifier, cutouts)
    assert "at the training set's shred fraction" in table["p_cnn"].description


def test_ucds_are_valid():
    from astropy.io.votable.ucd import check_ucd

    from shredfinder.table import columns

    assert set(columns._UCDS) == {
        "p_cnn",
        "p_cnn_flag",
        "p_cnn_std",
        "p_cnn_novelty",
        "p_other",
        "p_cnn_robust",
    }
    for word in columns._UCDS.values():
        assert check_ucd(word, check_controlled_vocabulary=True)


def test_options_reach_the_classifier(classifier, cutouts):
    add_p_cnn(make_table(), classifier, cutouts, allow_other_colors=True, progress=False)
    assert classifier.options == {
        "pixel_scale": None,
        "bands": None,
        "allow_other_colors": True,
        "progress": False,
        "std": False,
        "novelty": False,
        "other": False,
        "robust": False,
        "ebv": None,
    }
    add_p_cnn(make_table(), classifier, cutouts.images, pixel_scale=0.3, bands="zrg")
    assert classifier.options["pixel_scale"] == 0.3
    assert classifier.options["bands"] == "zrg"


def test_scores_are_corrected_for_the_prior(classifier, cutouts):
    uncorrected, corrected, estimated = (make_table() for _ in range(3))
    add_p_cnn(uncorrected, classifier, cutouts)
    add_p_cnn(corrected, classifier, cutouts, prior=0.05)
    with pytest.warns(ShredfinderWarning, match=r"only 3 scored sources .* below 300"):
        add_p_cnn(estimated, classifier, cutouts, prior="estimate")
    expected = adjust_prior(uncorrected["p_cnn"], 0.05, 0.4)
    np.testing.assert_allclose(corrected["p_cnn"], expected, rtol=1e-5)
    facts = {name: table["p_cnn"].meta["shredfinder"] for name, table in (
        ("none", uncorrected), ("given", corrected), ("estimate", estimated)
    )}  # fmt: skip
    assert (facts["none"]["prior"], facts["none"]["prior_source"]) == (None, "training set")
    assert (facts["given"]["prior"], facts["given"]["prior_source"]) == (0.05, "given")
    fraction = estimate_prior(uncorrected["p_cnn"], 0.4)
    assert facts["estimate"]["prior"] == pytest.approx(fraction, abs=1e-4)
    assert facts["estimate"]["prior_error"] == pytest.approx(fraction.error, rel=1e-3)
    assert facts["estimate"]["prior_source"] == "estimate"
    assert (
        f"estimated shred fraction of {float(fraction):.3f} +/- " in estimated["p_cnn"].description
    )
    assert_split(estimated, 3)


def test_table_methods_have_the_functions_arguments():
    function = inspect.signature(add_p_cnn)
    for cls in (ShredTable, ShredQTable):
        method = inspect.signature(cls.add_p_cnn)
        assert list(method.parameters.values())[1:] == list(function.parameters.values())[1:]
        assert method.return_annotation == function.return_annotation
    assert next(iter(function.parameters)) == "table"


def test_embedded_model_is_the_default():
    images = np.random.default_rng(0).integers(0, 255, (2, 128, 128, 3), dtype=np.uint8)
    images[1] = 7
    table = ShredTable({"a": [1, 2]})
    table.add_p_cnn(cutouts=images)
    assert np.isfinite(table["p_cnn"]).tolist() == [True, False]
    assert len(table["p_cnn"].meta["shredfinder"]["sha256"]) == 64


def test_classifiers_by_name_and_by_path(tmp_path):
    images = example_cutouts().images[:2]
    default, by_path, robust = (Table({"a": [1, 2]}) for _ in range(3))
    path = tmp_path / "mine.shredmodel"
    ShredClassifier.load().save(path)
    add_p_cnn(default, cutouts=images)
    for given in (path, str(path)):
        add_p_cnn(by_path, given, images)
        np.testing.assert_array_equal(by_path["p_cnn"], default["p_cnn"])
    add_p_cnn(robust, "robust", images)
    expected, _ = ShredClassifier.load("robust").predict_p_cnn(images)
    np.testing.assert_array_equal(robust["p_cnn"], expected)
    names = [table["p_cnn"].meta["shredfinder"]["model"] for table in (default, robust)]
    assert names[0] != names[1]
    table = Table({"a": [1, 2]})
    with pytest.raises(TypeError, match=r"classifier must be a ShredClassifier.*got int"):
        add_p_cnn(table, 3, images)
    with pytest.raises(FileNotFoundError, match=r"absent.shredmodel"):
        add_p_cnn(table, tmp_path / "absent.shredmodel", images)
    assert table.colnames == ["a"]


def test_own_columns_are_replaced_in_place(classifier, cutouts):
    table = make_table()
    add_p_cnn(table, classifier, cutouts)
    table["last"] = 1
    names = table.colnames
    add_p_cnn(table, classifier, cutouts[::-1])
    assert table.colnames == names
    assert table["p_cnn_flag"].tolist() == ["no coverage", "", "failed", "", "blank", ""]


@pytest.mark.parametrize("name", ["p_cnn", "p_cnn_flag"])
@pytest.mark.parametrize("cls", CLASSES)
def test_foreign_columns_are_kept(cls, name, classifier, cutouts):
    table = make_table(cls)
    table[name] = np.arange(6.0)
    with pytest.raises(
        ValueError, match=f"column '{name}' that shredfinder did not write.*replace_columns=True"
    ):
        add_p_cnn(table, classifier, cutouts)
    assert table[name].tolist() == [0, 1, 2, 3, 4, 5]
    assert not classifier.batch_sizes
    add_p_cnn(table, classifier, cutouts, replace_columns=True)
    assert_split(table, 3)
    assert table["p_cnn_flag"][1] == "blank"


def test_own_columns_are_recognised_without_metadata(classifier, cutouts):
    table = make_table()
    add_p_cnn(table, classifier, cutouts)
    for name in ("p_cnn", "p_cnn_flag"):
        table[name].meta, table[name].description = {}, None
    add_p_cnn(table, classifier, cutouts)
    table["p_cnn"].meta, table["p_cnn"].description = {}, None
    table["p_cnn_flag"] = ["x"] * 6
    with pytest.raises(ValueError, match="'p_cnn' that shredfinder did not write"):
        add_p_cnn(table, classifier, cutouts)


def test_indexed_scores(classifier, cutouts):
    table = make_table()
    add_p_cnn(table, classifier, cutouts)
    table.add_index("p_cnn")
    with pytest.raises(ValueError, match=r"index.*remove_indices"):
        add_p_cnn(table, classifier, cutouts)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.filterwarnings("ignore:none of 1 sources was scored")
@pytest.mark.filterwarnings("ignore:the .* has no rows")
def test_few_rows(cls, n, classifier):
    table = make_table(cls)[:n]
    add_p_cnn(table, classifier, make_cutouts([0.3] * n))
    assert len(table) == n
    assert table["p_cnn"].dtype == np.float32
    assert_split(table, n)
    paths = make_table(cls)[:n]
    add_p_cnn(paths, classifier, [None] * n)
    assert paths["p_cnn_flag"].tolist() == ["missing"] * n


@pytest.mark.filterwarnings("ignore:the .* has no rows")
def test_table_without_columns(classifier):
    table = Table()
    add_p_cnn(table, classifier, [])
    assert table.colnames == ["p_cnn", "p_cnn_flag"]
    assert len(table) == 0


@pytest.mark.parametrize("cls", CLASSES)
def test_unusual_tables(cls, classifier, cutouts):
    table = make_table(cls)
    table["flux"] = np.arange(18.0).reshape(6, 3) * u.nJy
    table["when"] = Time(np.arange(6.0), format="mjd")
    table["coord"] = SkyCoord(np.arange(6.0), np.arange(6.0), unit="deg")
    table["any"] = np.array([None, 1, "a", (), {}, 2.0], dtype=object)
    table.add_index("objID")
    grouped = table.group_by(np.array([0, 1, 0, 1, 0, 1]))
    add_p_cnn(table, classifier, cutouts)
    assert table.loc[1237646587169407343]["p_cnn"] == table["p_cnn"][2]
    assert_split(table, 3)
    add_p_cnn(grouped, classifier, cutouts)
    assert len(grouped.groups) == 2
    assert_split(grouped, 3)
    assert_split(grouped.groups[0])


@pytest.mark.parametrize("cls", CLASSES)
def test_masked_table(cls, classifier, cutouts):
    table = cls(make_table(cls), masked=True)
    add_p_cnn(table, classifier, cutouts)
    assert_split(table, 3)
    assert_split(table[::-1], 3)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interrupts_leave_the_table(error, classifier, cutouts, monkeypatch):
    table = make_table()
    add_p_cnn(table, classifier, cutouts)
    before = table.copy()

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(classifier, "score_images", fail)
    with pytest.raises(error):
        add_p_cnn(table, classifier, cutouts[::-1])
    assert table.colnames == before.colnames
    assert table["p_cnn"] is not before["p_cnn"]
    np.testing.assert_array_equal(table["p_cnn"], before["p_cnn"])


def score_nothing(X, n=None, **options):
    """Return NaN without reasons, for ``n`` images."""
    n = len(X) if n is None else n
    return Scores(np.full(n, np.nan), np.full(n, ""), training_prior=0.4)


def test_unscored_rows_get_a_reason(classifier, monkeypatch):
    monkeypatch.setattr(classifier, "score_images", score_nothing)
    table = make_table()
    with pytest.warns(ShredfinderWarning, match="none of 6 sources was scored: 6 not scored"):
        add_p_cnn(table, classifier, [None] * 6)
    assert set(table["p_cnn_flag"]) == {"not scored"}


def test_wrong_number_of_scores(classifier, monkeypatch):
    monkeypatch.setattr(
        classifier, "score_images", lambda X, **options: score_nothing(X, 2, **options)
    )
    table = make_table()
    with pytest.raises(ValueError, match="Inconsistent data column lengths"):
        add_p_cnn(table, classifier, [None] * 6)
    assert "p_cnn" not in table.colnames


@pytest.mark.parametrize("n", [0, 5, 7])
@pytest.mark.parametrize("kind", ["cutouts", "array", "paths"])
def test_wrong_number_of_cutouts(n, kind, classifier):
    given = {
        "cutouts": make_cutouts([0.3] * n),
        "array": np.zeros((n, 8, 8, 3), np.uint8),
        "paths": ["a.png"] * n,
    }[kind]
    table = make_table()
    with pytest.raises(ValueError, match=f"6 rows, got {n} cutouts: give one per row"):
        add_p_cnn(table, classifier, given)
    assert "p_cnn" not in table.colnames


@pytest.mark.parametrize("prior", [0, 1, -0.1, 1.5, np.nan, "many", [0.1]])
def test_invalid_priors_are_refused_before_scoring(prior, classifier, cutouts):
    with pytest.raises(ValueError, match="prior must be"):
        add_p_cnn(make_table(), classifier, cutouts, prior=prior)
    assert not classifier.batch_sizes


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3.5, "must be a Cutouts object.*got float"),
        ({"a": 1}, "must be a Cutouts object.*got dict"),
        (np.zeros((6, 8, 8), np.uint8), "have 8 channels, got 3 bands"),
        (np.zeros((6, 8), np.uint8), r"shape \(n, height, width, bands\), got \(6, 8\)"),
        ([1, 2, 3, 4, 5, 6], "must hold paths, or None for a row without a file, got int"),
    ],
)
def test_unsupported_cutouts(given, message, classifier):
    table = make_table()
    with pytest.raises(ValueError, match=message):
        add_p_cnn(table, classifier, given)
    assert "p_cnn" not in table.colnames


def test_lists_of_images(classifier, cutouts):
    from_list, from_array = make_table(), make_table()
    add_p_cnn(from_list, classifier, list(cutouts.images))
    add_p_cnn(from_array, classifier, cutouts.images)
    np.testing.assert_array_equal(from_list["p_cnn"], from_array["p_cnn"])
    assert_split(from_list, 4)


def test_single_images(classifier):
    table = make_table()[:1]
    add_p_cnn(table, classifier, make_cutouts([0.3]).images[0])
    np.testing.assert_allclose(table["p_cnn"], [0.3], rtol=1e-5)
    with pytest.raises(ValueError, match="6 rows, got 1 cutouts"):
        add_p_cnn(make_table(), classifier, make_cutouts([0.3]).images[0])


@pytest.mark.parametrize("given", [{"a": [1]}, np.zeros(3), None])
def test_unsupported_tables(given, classifier):
    message = f"must be an astropy Table or a pandas DataFrame, got {type(given).__name__}"
    with pytest.raises(TypeError, match=message):
        add_p_cnn(given, classifier, [])


def test_paths_of_any_kind(image_files, classifier):
    names = ["good.png", "blank.png", None, "good.jpg", "", "absent.png"]
    paths = [None if name is None else str(image_files / name) for name in names]
    expected = ["", "blank", "missing", "", "missing", "missing"]
    masked = np.ma.masked_array([path or "x" for path in paths], [path is None for path in paths])
    table = Table({"path": masked})
    encoded = np.array([(path or "").encode() for path in paths])
    for given in (
        paths,
        tuple(paths),
        table["path"],
        np.array(paths, dtype=object),
        encoded,
        ImageFiles(paths, size=(128, 128), **FACTS),
        Cutouts(ImageFiles(paths, size=(128, 128), **FACTS)[:].images, flags=expected, **FACTS),
    ):
        add_p_cnn(table, classifier, given)
        assert table["p_cnn_flag"].tolist() == expected
        assert np.isfinite(table["p_cnn"]).tolist() == [not flag for flag in expected]


@pytest.mark.filterwarnings("ignore:.* rows repeat")
def test_files_are_read_in_batches(image_files, classifier):
    table = Table({"name": ["good"] * 10})
    with conf.set_temp("batch_size", 4):
        add_p_cnn(table, classifier, image_files, pattern="{name}.png")
    assert classifier.batch_sizes == [4, 4, 2]


def test_cutouts_of_a_service(classifier, monkeypatch):
    streams = []

    class Stream(CutoutSequence):
        """Return cutouts without fetching, and record the arguments."""

        def __init__(self, fetcher, coords, **options):
            self.fetcher, self.coords, self.options = fetcher, coords, options
            streams.append(self)

        def __len__(self):
            return len(self.coords)

        def __getitem__(self, rows):
            dec = self.coords.dec.deg[rows]
            flags = np.where(np.isnan(dec), "no position", np.where(dec == 10, "failed", ""))
            return make_cutouts(np.nan_to_num(dec) / 100, flags)

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            self.close()

        def close(self):
            self.options["closed"] = True

    def open_stream(fetcher, coords, **options):
        return Stream(fetcher, coords, **options)

    monkeypatch.setattr("shredfinder.cutouts.CutoutFetcher.stream", open_stream)
    table = ShredTable({"ra": [1, np.nan, 3, 4, 5.0], "dec": [40, 20, 30, 10, 200.0]})
    table.add_p_cnn(classifier, service="sdss")
    assert table["p_cnn_flag"].tolist() == ["", "no position", "", "failed", "no position"]
    np.testing.assert_allclose(table["p_cnn"], [0.4, np.nan, 0.3, np.nan, np.nan], rtol=1e-5)
    (stream,) = streams
    # Sorted by position on the sky, rows without a position last.
    assert stream.coords.ra.deg[:3].tolist() == [4, 3, 1]
    assert stream.options == {"progress": False, "closed": True}
    fetcher = stream.fetcher
    assert (fetcher.service, fetcher.size, fetcher.pixel_scale) == ("sdss", 128, 0.46875)


def test_configured_fetchers(classifier):
    table = Table({"ra": [184.7, np.nan], "dec": [47.3, 47.4]})
    with pytest.warns(ShredfinderWarning, match="none of 2 sources was scored"):
        add_p_cnn(table, classifier, service=CutoutFetcher("legacy", offline=True, cache=False))
    assert table["p_cnn_flag"].tolist() == ["missing", "no position"]
    assert_split(table, 0)


@pytest.mark.parametrize("configured", [True, False])
def test_cutouts_of_local_images(configured, classifier):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix = (150.1, 2.2), (300.5, 300.5)
    wcs.wcs.cdelt = -0.262 / 3600, 0.262 / 3600
    sky = np.random.default_rng(0).normal(0, 0.01, (600, 600))
    service = LocalImages({"g": (sky, wcs), "r": (sky, wcs), "z": (sky, wcs)})
    table = Table({"ra": [150.1, 30.0, np.nan], "dec": [2.2, -5.0, 0.0]})
    add_p_cnn(table, classifier, service=CutoutFetcher(service) if configured else service)
    assert table["p_cnn_flag"].tolist() == ["", "no coverage", "no position"]
    assert np.isnan(table["p_cnn"]).tolist() == [False, True, True]


def test_contradicting_arguments(classifier):
    with pytest.raises(ValueError, match="no position was found"):
        add_p_cnn(Table({"a": [1]}), classifier)
    with pytest.raises(ValueError, match="describe given cutouts, but cutouts is None"):
        add_p_cnn(make_table(), classifier, pattern="{objID}.png")
    with pytest.raises(ValueError, match="got both cutouts and service"):
        add_p_cnn(make_table(), classifier, [None] * 6, service="legacy")
    with pytest.raises(ValueError, match="pattern needs a folder of cutouts, got list"):
        add_p_cnn(make_table(), classifier, [None] * 6, pattern="{objID}.png")
