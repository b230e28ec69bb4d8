"""HATS catalogues, scored partition by partition by Dask's workers."""

import importlib.util
import os
import signal
import time

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from PIL import Image

from shredfinder import ShredClassifier, conf
from shredfinder import add_p_cnn as add_to_table
from shredfinder.datasets import make_field
from tests.cutouts.loopback import LoopbackServer

HAS_LSDB = all(importlib.util.find_spec(name) for name in ("lsdb", "hats_import"))
pytestmark = [
    pytest.mark.skipif(not HAS_LSDB, reason="LSDB and hats-import are not installed"),
    # What LSDB, HATS and Dask warn of among themselves is theirs.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def client():
    """Two workers, each a process of its own."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            scheduler_kwargs={"dashboard": False},
            dashboard_address=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def world(tmp_path_factory, client):
    """A field's sources all over the sky, as a table, as a HATS catalogue and as image files."""
    from hats_import import ImportArguments, pipeline_with_client

    folder = tmp_path_factory.mktemp("world")
    field = make_field(size=640, n_hosts=3, random_state=3)
    cutouts = field.cutouts()
    n = 120
    rng = np.random.default_rng(1)
    table = Table()
    table["objID"] = np.arange(n, dtype=np.int64) + 1237646587169407341
    table["ra"] = rng.uniform(0, 360, n)
    table["dec"] = np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    table["r"] = rng.normal(19, 1, n).astype(np.float32)
    table["name"] = [f"source {i}" for i in range(n)]
    table["number"] = np.ma.masked_array(np.arange(n), mask=np.arange(n) % 10 == 3)
    # By pandas, which knows null.
    table.to_pandas().to_parquet(folder / "candidates.parquet")
    (folder / "cutouts").mkdir()
    for i, row in enumerate(table):
        # Some have no image, some a blank one, some a broken one.
        path = folder / "cutouts" / f"{row['objID']}.png"
        if i % 11 == 0:
            continue
        image = np.full_like(cutouts.images[0], 32) if i % 11 == 1 else cutouts.images[i % 40]
        Image.fromarray(image).save(path)
        if i % 11 == 2:
            path.write_bytes(path.read_bytes()[:5000])
        os.link(path, path.with_name(f"number-{i}.png"))
    arguments = ImportArguments(
        input_file_list=[folder / "candidates.parquet"],
        file_reader="parquet",
        output_path=folder,
        output_artifact_name="hats",
        ra_column="ra",
        dec_column="dec",
        sort_columns="objID",
        constant_healpix_order=0,
        tmp_dir=folder,
        simple_progress_bar=True,
    )
    pipeline_with_client(arguments, client)
    return folder, table


@pytest.fixture
def catalog(world):
    import lsdb

    return lsdb.open_catalog(world[0] / "hats")


def assert_same(scored, table):
    """The rows of a computed catalogue are those of a scored table, and so are their scores."""
    scored = scored.sort_values("objID")
    assert scored["objID"].tolist() == table["objID"].tolist()
    assert scored["name"].tolist() == table["name"].tolist()
    assert scored["p_cnn_flag"].tolist() == table["p_cnn_flag"].tolist()
    p_cnn = scored["p_cnn"].to_numpy(dtype=np.float32)
    np.testing.assert_allclose(p_cnn, table["p_cnn"], rtol=1e-5, atol=1e-6)
    # NaN, and not null: a comparison answers False.
    below = (scored["p_cnn"] < 0.5).to_numpy(dtype=bool)
    assert np.array_equal(below, np.asarray(table["p_cnn"]) < 0.5)


def test_equals_the_table(world, catalog, client):
    from shredfinder.lsdb import add_p_cnn

    folder, table = world
    options = {"cutouts": folder / "cutouts", "pattern": "{objID}.png"}
    assert catalog.npartitions >= 10
    scored = add_p_cnn(catalog, **options)
    assert list(scored.columns) == [*catalog.columns, "p_cnn", "p_cnn_flag"]
    assert scored.dtypes.astype(str)[-2:].tolist() == ["float[pyarrow]", "string[pyarrow]"]
    result = scored.compute(progress_bar=False)
    assert result.dtypes.equals(scored.dtypes)
    table = table.copy()
    add_to_table(table, **options)
    assert {"", "missing", "blank", "corrupted"} <= set(table["p_cnn_flag"].tolist())
    assert_same(result, table)
    # Both took part, and each has loaded the model once for its partitions.
    loaded = client.run(_count_kept)
    assert sorted(loaded.values()) == [1, 1]


def _count_kept():
    from shredfinder import lsdb

    return sum(key[0] == "classifier" for key in lsdb._kept)


def test_columns_on_request(world, catalog):
    from shredfinder.lsdb import add_p_cnn

    folder, table = world
    options = {"cutouts": folder / "cutouts", "pattern": "{objID}.png"}
    scored = add_p_cnn(catalog, **options, std=True, novelty=True)
    names = ["p_cnn", "p_cnn_flag", "p_cnn_std", "p_cnn_novelty"]
    assert list(scored.columns) == [*catalog.columns, *names]
    result = scored.compute(progress_bar=False).sort_values("objID")
    assert result.dtypes.equals(scored.dtypes)
    table = table.copy()
    add_to_table(table, **options, std=True, novelty=True)
    for name in names[2:]:
        found = result[name].to_numpy(dtype=np.float32)
        np.testing.assert_allclose(found, table[name], rtol=1e-3, atol=1e-5)


def test_nothing_is_read_before_it_is_asked_for(world, catalog, monkeypatch):
    from shredfinder import lsdb

    monkeypatch.setattr(lsdb, "_score_partition", None)  # a call would fail
    folder, _ = world
    lsdb.add_p_cnn(catalog, cutouts=folder / "cutouts", pattern="{objID}.png")


def test_rows_without_a_file_name(world, catalog, client):
    from shredfinder.lsdb import add_p_cnn

    folder, table = world
    options = {"cutouts": folder / "cutouts", "pattern": "number-{number:d}.png", "prior": 0.05}
    result = add_p_cnn(catalog, **options).compute(progress_bar=False)
    table = table.copy()
    add_to_table(table, **options)
    assert (table["p_cnn_flag"] == "missing").sum() > 12
    assert_same(result, table)


def test_empty_partitions(world, catalog, client):
    from shredfinder.lsdb import add_p_cnn

    folder, table = world
    last = int(table["objID"][-1])
    options = {"cutouts": folder / "cutouts", "pattern": "{objID}.png"}
    scored = add_p_cnn(catalog.query(f"objID == {last}"), **options)
    assert scored.npartitions >= 10
    result = scored.compute(progress_bar=False)
    table = table[-1:]
    add_to_table(table, **options)
    assert_same(result, table)
    nothing = add_p_cnn(catalog.query("objID < 0"), **options).compute(progress_bar=False)
    assert len(nothing) == 0
    assert nothing.dtypes.equals(scored.dtypes)


def die_in_the_middle(frame, folder):
    """Kill the worker that gets the fifth partition, with all that it holds."""
    (folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()
    if len(list(folder.iterdir())) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return frame


def test_a_killed_worker_loses_nothing(world, catalog, client, tmp_path):
    from shredfinder.lsdb import add_p_cnn

    folder, table = world
    options = {"cutouts": folder / "cutouts", "pattern": "{objID}.png"}
    before = set(client.run(os.getpid).values())
    scored = add_p_cnn(catalog, **options)
    scored = scored.map_partitions(die_in_the_middle, tmp_path, meta=scored.meta)
    result = scored.compute(progress_bar=False)
    client.wait_for_workers(2, timeout=60)
    after = set(client.run(os.getpid).values())
    assert len(before & after) == 1
    assert len(list(tmp_path.iterdir())) > catalog.npartitions
    table = table.copy()
    add_to_table(table, **options)
    assert_same(result, table)


def test_written_and_read_again(world, catalog, client, tmp_path):
    import lsdb

    from shredfinder.lsdb import add_p_cnn, make_hats_properties

    folder, table = world
    options = {"cutouts": folder / "cutouts", "pattern": "{objID}.png"}
    properties = make_hats_properties()
    add_p_cnn(catalog, **options).write_catalog(
        tmp_path / "scored", progress_bar=False, addl_hats_properties=properties
    )
    again = lsdb.open_catalog(tmp_path / "scored")
    table = table.copy()
    add_to_table(table, **options)
    assert_same(again.compute(progress_bar=False), table)
    kept = again.hc_structure.catalog_info.__pydantic_extra__
    assert kept["shredfinder_sha256"] == ShredClassifier.load().provenance["sha256"]
    # A second time only if it is wanted.
    with pytest.raises(ValueError, match="overwrite=True"):
        add_p_cnn(again, **options)
    twice = add_p_cnn(again, overwrite=True, **options)
    assert list(twice.columns) == list(again.columns)


def count_and_fail(frame, folder, limit):
    """Note that a partition was scored; fail where a number of them were."""
    (folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()
    if len(list(folder.iterdir())) > limit:
        raise RuntimeError("the disk is full")
    return frame


def wait_until_idle(client):
    """Wait for what workers have begun: Dask lets it end after another partition has failed."""
    for _ in range(600):
        busy = client.run(lambda dask_worker: dask_worker.state.executing_count)
        if not any(busy.values()):
            return
        time.sleep(0.1)
    raise TimeoutError("the workers are still at work after a minute")


def test_an_interrupted_writing_goes_on(world, catalog, client, tmp_path):
    import lsdb

    from shredfinder.lsdb import add_p_cnn

    folder, table = world
    options = {"cutouts": folder / "cutouts", "pattern": "{objID}.png"}
    calls, path = tmp_path / "calls", tmp_path / "scored"
    calls.mkdir()
    scored = add_p_cnn(catalog, **options)
    failing = scored.map_partitions(count_and_fail, calls, 8, meta=scored.meta)
    with pytest.raises(RuntimeError, match="the disk is full"):
        failing.write_catalog(path, progress_bar=False)
    wait_until_idle(client)
    n_calls = len(list(calls.iterdir()))
    going_on = scored.map_partitions(count_and_fail, calls, 1000, meta=scored.meta)
    going_on.write_catalog(path, progress_bar=False, resume=True)
    # What was written before was not scored again.
    assert len(list(calls.iterdir())) - n_calls < catalog.npartitions
    table = table.copy()
    add_to_table(table, **options)
    assert_same(lsdb.open_catalog(path).compute(progress_bar=False), table)


def test_local_images(tmp_path):
    import lsdb

    from shredfinder.lsdb import add_p_cnn

    field = make_field(size=640, n_hosts=3, random_state=3)
    # The same pixels, said to be of the survey's own scale.
    field.wcs.wcs.cdelt *= 0.262 / field.pixel_scale
    for band, image in zip(field.bands, field.fluxes, strict=True):
        header = field.wcs.to_header()
        fits.writeto(tmp_path / f"legacysurvey-1-image-{band}.fits", image, header)
    sky = field.wcs.pixel_to_world(*np.random.default_rng(2).uniform(150, 490, (2, 12)))
    table = Table({"objID": np.arange(13), "name": list("abcdefghijklm")})
    table["ra"], table["dec"] = [*sky.ra.deg, 20.0], [*sky.dec.deg, 20.0]
    fetch = {"service": "local", "base_url": tmp_path}
    catalog = lsdb.from_dataframe(table.to_pandas(), partition_rows=12)
    # Without a cluster: Dask's threads.
    result = add_p_cnn(catalog, fetch=fetch).compute(progress_bar=False)
    add_to_table(table, fetch=fetch)
    assert table["p_cnn_flag"].tolist() == [""] * 12 + ["no coverage"]
    assert_same(result, table)


def test_a_service_is_asked_by_one_partition_at_a_time(world, catalog, client):
    from shredfinder.lsdb import add_p_cnn

    table = world[1][:30].copy()
    catalog = catalog.query(f"objID <= {table['objID'][-1]}")
    with LoopbackServer(latency=0.02) as server:
        fetch = {
            "service": "legacy",
            "base_url": f"{server.url}/viewer",
            "cache": False,
            "group": False,
            "rate": None,
            "max_workers": 1,
        }
        result = add_p_cnn(catalog, fetch=fetch).compute(progress_bar=False)
        times = [at for at, _, _ in server.requests]
        add_to_table(table, fetch=fetch)
    # Each request came after the answer to the one before.
    assert len(times) == len(table)
    assert np.diff(times).min() >= 0.02
    assert_same(result, table)


def test_what_can_not_be_done(world, catalog, tmp_path, toy_classifier):
    from shredfinder.lsdb import add_p_cnn

    folder, table = world
    good = {"cutouts": folder / "cutouts", "pattern": "{objID}.png"}
    for error, match, arguments in (
        (TypeError, "takes an LSDB catalogue, not a Table", {"catalog": table}),
        (ValueError, "not a ShredClassifier.*classifier.save", {"classifier": toy_classifier}),
        (ValueError, "can't be read|no model|there is no", {"classifier": tmp_path / "no.model"}),
        (ValueError, "scores of all partitions", {"prior": "estimate"}),
        (ValueError, "prior must be", {"prior": 1.5}),
        (ValueError, "which the table does not have", {"pattern": "{objid}.png"}),
        (FileNotFoundError, "no folder", {"cutouts": tmp_path / "nowhere"}),
        (ValueError, "not a ndarray", {"cutouts": np.zeros((120, 128, 128, 3))}),
        (ValueError, "leave out one", {"fetch": {}}),
        (ValueError, "give it as cutouts=", {"cutouts": None}),
        (ValueError, "threads must be", {"threads": 0}),
    ):
        with pytest.raises((error, FileNotFoundError), match=match):
            add_p_cnn(**({"catalog": catalog} | good | arguments))
    for match, arguments in (
        ("no column 'RA'", {"position": ("RA", "dec")}),
        ("must be the names of two columns", {"position": "ra"}),
        ("there is no cutout service", {"fetch": {"service": "nobody"}}),
        ("must be a plain value", {"fetch": {"service": object()}}),
    ):
        with pytest.raises(ValueError, match=match):
            add_p_cnn(catalog, **arguments)


def test_another_model_in_the_worker_is_refused(world, catalog, toy_images, tmp_path):
    from shredfinder import lsdb

    folder, _ = world
    path = tmp_path / "mine.shredmodel"
    ShredClassifier.load().save(path)
    scored = lsdb.add_p_cnn(catalog, path, cutouts=folder / "cutouts", pattern="{objID}.png")
    model = ShredClassifier.load()
    model.model_.description.name = "another"
    model.save(path)
    with pytest.raises(RuntimeError, match="install the same version"):
        scored.compute(progress_bar=False)


def test_threads_of_a_worker():
    from shredfinder import lsdb

    assert conf.threads == 0
    job = lsdb._Job(None, ShredClassifier.load().provenance["sha256"], *[None] * 3, (), threads=3)
    assert lsdb._load(job).model_.network.threads == 3
    assert conf.threads == 0
