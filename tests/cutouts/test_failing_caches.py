"""Caches that the system cannot read or write, and what the cache holds when a run starts."""

import errno
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from shredfinder import ShredClassifier, conf
from shredfinder.catalogs import QueryCache
from shredfinder.cutouts import Cache, fetch_cutouts
from shredfinder.exceptions import ShredfinderWarning
from tests.cutouts.conftest import host_centred, scattered

COORDS = scattered(6, seed=3)


def fetch(server, coords=COORDS, **options):
    defaults = {"service": "legacy", "base_url": server.viewer, "rate": None, "progress": False}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cutouts = fetch_cutouts(coords, **(defaults | {"size": 32} | options))
    return cutouts, [str(w.message) for w in caught if issubclass(w.category, UserWarning)]


def _refuse(number):
    def write(*args, **kwargs):
        raise OSError(number, "as the system says")

    return write


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("os.makedirs", errno.EROFS),
        ("os.makedirs", errno.EACCES),
        ("pathlib.Path.write_bytes", errno.ENOSPC),
        ("pathlib.Path.write_bytes", errno.EFBIG),
        ("pathlib.Path.write_bytes", errno.EDQUOT),
        ("os.replace", errno.EIO),
    ],
)
def test_a_cache_that_cannot_be_written_costs_one_warning(
    server, tmp_path, monkeypatch, name, number
):
    monkeypatch.setattr(name, _refuse(number))
    cutouts, messages = fetch(server, cache=tmp_path / "cache")
    assert cutouts.good.all()
    assert len(messages) == 1
    assert "cannot be used (as the system says)" in messages[0]
    assert str(tmp_path / "cache") in messages[0]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_cache_that_cannot_be_read_costs_one_warning(server, tmp_path, monkeypatch, number):
    fetch(server, cache=tmp_path)
    monkeypatch.setattr("pathlib.Path.read_bytes", _refuse(number))
    cutouts, messages = fetch(server, cache=tmp_path)
    assert cutouts.good.all()
    assert len(messages) == 1


def test_a_file_in_place_of_the_cache_costs_one_warning(server, tmp_path):
    path = tmp_path / "file"
    path.write_text("not a folder")
    cutouts, messages = fetch(server, cache=path)
    assert cutouts.good.all()
    assert len(messages) == 1
    assert path.read_text() == "not a folder"


def test_a_cache_that_is_deleted_in_mid_run_is_made_again(server, tmp_path, monkeypatch):
    write = Cache.write

    def delete(self, *args):
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        return write(self, *args)

    monkeypatch.setattr(Cache, "write", delete)
    cutouts, messages = fetch(server, cache=tmp_path / "cache", max_workers=1)
    assert (cutouts.good.all(), messages) == (True, [])


def _prune(folder, seed):
    rng = np.random.default_rng(seed)
    for path in sorted(Path(folder).rglob("*.png")) + sorted(Path(folder).rglob("*.jpg")):
        if rng.random() < 0.5:
            path.unlink()


@pytest.mark.parametrize("seed", range(4))
def test_what_the_cache_holds_changes_no_cutout(server, tmp_path, seed):
    coords = host_centred(2, 25, seed=seed)
    fresh, _ = fetch(server, coords, cache=tmp_path, size=64)
    # As after a run that was interrupted, or whose files were pruned or damaged.
    _prune(tmp_path, seed)
    again, _ = fetch(server, coords, cache=tmp_path, size=64)
    np.testing.assert_array_equal(again.images, fresh.images)
    next(tmp_path.rglob("*.png")).write_bytes(b"damaged")
    last, _ = fetch(server, coords, cache=tmp_path, size=64)
    np.testing.assert_array_equal(last.images, fresh.images)


def test_cutouts_of_another_catalogue_change_scores_little(server, tmp_path):
    coords = host_centred(1, 90, seed=9)
    fresh, _ = fetch(server, coords, cache=False, size=128)
    # Neighbours that another catalogue lacks: its shared images have other centres.
    fetch(server, coords[::3], cache=tmp_path, size=128)
    mixed, _ = fetch(server, coords, cache=tmp_path, size=128)
    classifier = ShredClassifier.load()
    scores = [classifier.predict_p_cnn(cutouts)[0] for cutouts in (fresh, mixed)]
    # The bound that the documentation gives.
    # Some of the drawn sources are on empty sky, and not scored.
    np.testing.assert_array_equal(*np.isfinite(scores))
    assert np.isfinite(scores[0]).sum() > 10
    assert np.nanmax(np.abs(scores[0] - scores[1])) <= 0.02


def test_a_cache_of_queries_that_cannot_be_written_costs_a_warning(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.warns(ShredfinderWarning, match="cannot be used"):
        QueryCache(tmp_path / "file").write(("legacy-dr9", "x", "y"), Table({"n": [1]}))


def test_a_cache_of_queries_that_cannot_be_read_costs_one_warning(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    cache = QueryCache(tmp_path / "file")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert cache.read(("legacy-dr9", "x", "y")) is None
        assert cache.read_file(("dust", "x", "y")) is None
        cache.write(("legacy-dr9", "x", "y"), Table({"n": [1]}))
    assert [w.category for w in caught] == [ShredfinderWarning]
    assert "cannot be used" in str(caught[0].message)


@pytest.mark.parametrize("kind", [Cache, QueryCache])
def test_a_cache_of_an_unknown_user_is_refused(kind, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="'~no such user/x' begins with the home folder of an"):
        kind("~no such user/x")
    with conf.set_temp("cache_dir", "~no such user/x"), pytest.raises(ValueError, match="unknown"):
        kind()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert kind("~/x").path == tmp_path / "x"
