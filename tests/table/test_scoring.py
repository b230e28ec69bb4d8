import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table
from astropy.time import Time
from astropy.wcs import WCS

from shredfinder import Cutouts, ShredQTable, ShredTable, add_p_cnn, conf
from shredfinder.cutouts import LocalImages
from shredfinder.imaging import CutoutSequence, ImageFiles

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
    assert "share of shreds of 0.0625" in table["p_cnn"].description
    add_p_cnn(table, classifier, cutouts)
    assert "training mix" in table["p_cnn"].description


def test_ucds_are_valid():
    from astropy.io.votable.ucd import check_ucd

    from shredfinder.table import columns

    for word in (columns._P_UCD, columns._FLAG_UCD):
        assert check_ucd(word, check_controlled_vocabulary=True)


def test_options_reach_the_classifier(classifier, cutouts):
    add_p_cnn(
        make_table(), classifier, cutouts, prior="estimate", allow_other_colors=True, progress=False
    )
    assert classifier.options == {
        "prior": "estimate",
        "allow_other_colors": True,
        "progress": False,
    }
    add_p_cnn(make_table(), classifier, cutouts.images, pixel_scale=0.3, bands="zrg")
    assert classifier.options["pixel_scale"] == 0.3
    assert classifier.options["bands"] == "zrg"


def test_embedded_model_is_the_default():
    images = np.random.default_rng(0).integers(0, 255, (2, 128, 128, 3), dtype=np.uint8)
    images[1] = 7
    table = ShredTable({"a": [1, 2]})
    table.add_p_cnn(cutouts=images)
    assert np.isfinite(table["p_cnn"]).tolist() == [True, False]
    assert len(table["p_cnn"].meta["shredfinder"]["sha256"]) == 64


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
    with pytest.raises(ValueError, match=f"column '{name}'.*overwrite=True"):
        add_p_cnn(table, classifier, cutouts)
    assert table[name].tolist() == [0, 1, 2, 3, 4, 5]
    assert not classifier.batch_sizes
    add_p_cnn(table, classifier, cutouts, overwrite=True)
    assert_split(table, 3)
    assert table["p_cnn_flag"][1] == "blank"


def test_own_columns_are_known_without_metadata(classifier, cutouts):
    table = make_table()
    add_p_cnn(table, classifier, cutouts)
    for name in ("p_cnn", "p_cnn_flag"):
        table[name].meta, table[name].description = {}, None
    add_p_cnn(table, classifier, cutouts)
    table["p_cnn"].meta, table["p_cnn"].description = {}, None
    table["p_cnn_flag"] = ["x"] * 6
    with pytest.raises(ValueError, match="overwrite"):
        add_p_cnn(table, classifier, cutouts)


def test_indexed_scores(classifier, cutouts):
    table = make_table()
    add_p_cnn(table, classifier, cutouts)
    table.add_index("p_cnn")
    with pytest.raises(ValueError, match=r"index.*remove_indices"):
        add_p_cnn(table, classifier, cutouts)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("n", [0, 1])
def test_few_rows(cls, n, classifier):
    table = make_table(cls)[:n]
    add_p_cnn(table, classifier, make_cutouts([0.3] * n))
    assert len(table) == n
    assert table["p_cnn"].dtype == np.float32
    assert_split(table, n)
    paths = make_table(cls)[:n]
    add_p_cnn(paths, classifier, [None] * n)
    assert paths["p_cnn_flag"].tolist() == ["missing"] * n


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

    monkeypatch.setattr(classifier, "predict_p_cnn", fail)
    with pytest.raises(error):
        add_p_cnn(table, classifier, cutouts[::-1])
    assert table.colnames == before.colnames
    assert table["p_cnn"] is not before["p_cnn"]
    np.testing.assert_array_equal(table["p_cnn"], before["p_cnn"])


def test_rows_without_answer_get_a_reason(classifier, monkeypatch):
    monkeypatch.setattr(
        classifier,
        "predict_p_cnn",
        lambda X, **_: (np.full(len(X), np.nan), np.full(len(X), "")),
    )
    table = make_table()
    add_p_cnn(table, classifier, [None] * 6)
    assert set(table["p_cnn_flag"]) == {"not scored"}


def test_classifier_of_another_length(classifier, monkeypatch):
    monkeypatch.setattr(classifier, "predict_p_cnn", lambda X, **_: (np.zeros(2), np.zeros(2, "U")))
    with pytest.raises(ValueError, match="6 rows"):
        add_p_cnn(make_table(), classifier, [None] * 6)


@pytest.mark.parametrize("n", [0, 5, 7])
@pytest.mark.parametrize("kind", ["cutouts", "array", "paths"])
def test_wrong_number_of_cutouts(n, kind, classifier):
    given = {
        "cutouts": make_cutouts([0.3] * n),
        "array": np.zeros((n, 8, 8, 3), np.uint8),
        "paths": ["a.png"] * n,
    }[kind]
    table = make_table()
    with pytest.raises(ValueError, match=f"6 rows but {n} cutouts"):
        add_p_cnn(table, classifier, given)
    assert "p_cnn" not in table.colnames


@pytest.mark.parametrize("prior", [0, 1, -0.1, 1.5, np.nan, "many", [0.1]])
def test_bad_prior_is_said_before_scoring(prior, classifier, cutouts):
    with pytest.raises(ValueError, match="prior must be"):
        add_p_cnn(make_table(), classifier, cutouts, prior=prior)
    assert not classifier.batch_sizes


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3.5, "must be a Cutouts object"),
        ({"a": 1}, "must be a Cutouts object"),
        (np.zeros((6, 8, 8), np.uint8), r"must have the shape .* not \(6, 8, 8\)"),
        ([np.zeros((8, 8, 3), np.uint8)] * 6, "numpy.stack"),
        ([1, 2, 3, 4, 5, 6], "paths, or None"),
    ],
)
def test_no_cutouts(given, message, classifier):
    with pytest.raises(ValueError, match=message):
        add_p_cnn(make_table(), classifier, given)


@pytest.mark.parametrize("given", [{"a": [1]}, np.zeros(3), None])
def test_no_table(given, classifier):
    with pytest.raises(TypeError, match="takes an astropy table"):
        add_p_cnn(given, classifier, [])


def test_kinds_of_paths(image_files, classifier):
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


def test_files_are_read_in_batches(image_files, classifier):
    table = Table({"name": ["good"] * 10})
    with conf.set_temp("batch_size", 4):
        add_p_cnn(table, classifier, image_files, pattern="{name}.png")
    assert classifier.batch_sizes == [4, 4, 2]


def test_cutouts_of_a_service(classifier, monkeypatch):
    asked = []

    class Stream(CutoutSequence):
        """Fetches from nowhere, and says what it was asked for."""

        def __init__(self, coords, **options):
            self.coords, self.options = coords, options
            asked.append(self)

        def __len__(self):
            return len(self.coords)

        def __getitem__(self, rows):
            dec = self.coords.dec.deg[rows]
            flags = np.where(np.isnan(dec), "no position", np.where(dec == 10, "failed", ""))
            return make_cutouts(np.nan_to_num(dec) / 100, flags)

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            self.options["closed"] = True

    monkeypatch.setattr("shredfinder.cutouts.CutoutStream", Stream)
    table = ShredTable({"ra": [1, np.nan, 3, 4, 5.0], "dec": [40, 20, 30, 10, 200.0]})
    table.add_p_cnn(classifier, fetch={"service": "sdss"})
    assert table["p_cnn_flag"].tolist() == ["", "no position", "", "failed", "no position"]
    np.testing.assert_allclose(table["p_cnn"], [0.4, np.nan, 0.3, np.nan, np.nan], rtol=1e-5)
    (stream,) = asked
    # Neighbours first, rows without a position last.
    assert stream.coords.ra.deg[:3].tolist() == [4, 3, 1]
    assert stream.options == {
        "size": 128,
        "pixel_scale": 0.46875,
        "progress": False,
        "service": "sdss",
        "closed": True,
    }


def test_cutouts_of_local_images(classifier):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix = (150.1, 2.2), (300.5, 300.5)
    wcs.wcs.cdelt = -0.262 / 3600, 0.262 / 3600
    sky = np.random.default_rng(0).normal(0, 0.01, (600, 600))
    service = LocalImages({"g": (sky, wcs), "r": (sky, wcs), "z": (sky, wcs)})
    table = Table({"ra": [150.1, 30.0, np.nan], "dec": [2.2, -5.0, 0.0]})
    add_p_cnn(table, classifier, fetch={"service": service})
    assert table["p_cnn_flag"].tolist() == ["", "no coverage", "no position"]
    assert np.isnan(table["p_cnn"]).tolist() == [False, True, True]


def test_arguments_that_contradict_each_other(classifier):
    with pytest.raises(ValueError, match="no position was found"):
        add_p_cnn(Table({"a": [1]}), classifier)
    with pytest.raises(ValueError, match="go with cutouts that are given"):
        add_p_cnn(make_table(), classifier, pattern="{objID}.png")
    with pytest.raises(ValueError, match="they were given as cutouts="):
        add_p_cnn(make_table(), classifier, [None] * 6, fetch={})
    with pytest.raises(ValueError, match="a list was given"):
        add_p_cnn(make_table(), classifier, [None] * 6, pattern="{objID}.png")
