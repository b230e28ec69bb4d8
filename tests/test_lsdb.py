"""HATS catalogues, scored partition by partition by Dask's workers."""

import contextlib
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
from shredfinder.cutouts import CutoutFetcher, LocalImages, RetryPolicy
from shredfinder.datasets import make_field
from tests.conftest import find_pixels
from tests.cutouts.loopback import LoopbackServer

HAS_LSDB = all(importlib.util.find_spec(name) for name in ("lsdb", "hats_import"))
pytestmark = [
    pytest.mark.skipif(not HAS_LSDB, reason="LSDB and hats-import are not installed"),
    # Warnings among LSDB, HATS and Dask are not ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def client():
    """Start two workers, each in its own process."""
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set(
            {
                # Dask restarts workers that are silent for five minutes, as on a busy machine.
                "distributed.scheduler.worker-ttl": None,
                # Its profiler can stop Python before 3.11.9 for good (python/cpython#106883).
                "distributed.worker.profile.enabled": False,
            }
        ),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            scheduler_kwargs={"dashboard": False},
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def world(tmp_path_factory, client):
    """Create sources all over the sky: as a table, as a HATS catalogue and as image files."""
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
    # pandas writes masked values as nulls.
    table.to_pandas().to_parquet(folder / "candidates.parquet")
    (folder / "cutouts").mkdir()
    for i, row in enumerate(table):
        # Some have no image, some a blank one, some a damaged one.
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
    """Check that a computed catalogue has the rows and scores of a scored table."""
    scored = scored.sort_values("objID")
    assert scored["objID"].tolist() == table["objID"].tolist()
    assert scored["name"].tolist() == table["name"].tolist()
    assert scored["p_cnn_flag"].tolist() == table["p_cnn_flag"].tolist()
    p_cnn = scored["p_cnn"].to_numpy(dtype=np.float32)
    np.testing.assert_allclose(p_cnn, table["p_cnn"], rtol=1e-5, atol=1e-6)
    # NaN instead of null, so that comparisons are False.
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
    # Both workers took part, and each loaded the model once.
    loaded = client.run(_count_kept)
    assert sorted(loaded.values()) == [1, 1]


def _count_kept():
    from shredfinder import lsdb

    return sum(key[0] == "classifier" for key in lsdb._kept)


def test_optional_columns(world, catalog):
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


@pytest.mark.parametrize("ebv", [None, "sfd", 0.3])
def test_extinction(world, catalog, ebv):
    from shredfinder.lsdb import add_p_cnn

    folder, table = world
    options = {"cutouts": folder / "cutouts", "pattern": "{objID}.png", "ebv": ebv}
    # By default the column ebv is used.
    name = ebv or "ebv"
    if isinstance(name, str):
        catalog = catalog.map_partitions(lambda frame: frame.assign(**{name: frame["ra"] / 1000}))
    scored = add_p_cnn(catalog, **options).compute(progress_bar=False)
    table = table.copy()
    values = ebv if ebv == 0.3 else np.asarray(table["ra"]) / 1000
    add_to_table(table, **(options | {"ebv": values}))
    assert_same(scored, table)


def test_scoring_is_lazy(world, catalog, monkeypatch):
    from shredfinder import lsdb

    monkeypatch.setattr(lsdb, "_score_partition", None)  # a call would fail
    folder, _ = world
    lsdb.add_p_cnn(catalog, cutouts=folder / "cutouts", pattern="{objID}.png")


@pytest.mark.filterwarnings("ignore:.* of .* rows have no usable")
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


def kill_one(frame, folder):
    """Kill the worker that is the first to see that four partitions were scored."""
    (folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()
    if len(list(folder.iterdir())) >= 5:
        # Both workers may see it at the same time, but only one can create the file.
        with contextlib.suppress(FileExistsError):
            (folder / "killed").touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)
    return frame


@pytest.mark.slow
def test_partitions_of_killed_workers_are_scored_again(world, catalog, client, tmp_path):
    from shredfinder.lsdb import add_p_cnn

    folder, table = world
    options = {"cutouts": folder / "cutouts", "pattern": "{objID}.png"}
    before = set(client.run(os.getpid).values())
    scored = add_p_cnn(catalog, **options)
    scored = scored.map_partitions(kill_one, tmp_path, meta=scored.meta)
    result = scored.compute(progress_bar=False)
    client.wait_for_workers(2, timeout=300)
    after = set(client.run(os.getpid).values())
    assert len(before & after) == 1
    assert len(list(tmp_path.iterdir())) > catalog.npartitions + 1
    table = table.copy()
    add_to_table(table, **options)
    assert_same(result, table)


def test_write_and_read(world, catalog, client, tmp_path):
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
    # Scores are replaced only on request.
    with pytest.raises(ValueError, match=r"column 'p_cnn'.*replace_columns=True"):
        add_p_cnn(again, **options)
    twice = add_p_cnn(again, replace_columns=True, **options)
    assert list(twice.columns) == list(again.columns)


def count_and_fail(frame, folder, limit):
    """Record that a partition was scored; fail after a number of them."""
    (folder / f"{os.getpid()}-{time.monotonic_ns()}").touch()
    if len(list(folder.iterdir())) > limit:
        raise RuntimeError("the disk is full")
    return frame


def wait_until_idle(client):
    """Wait for running tasks, which Dask completes after another partition has failed."""
    for _ in range(600):
        busy = client.run(lambda dask_worker: dask_worker.state.executing_count)
        if not any(busy.values()):
            return
        time.sleep(0.1)
    raise TimeoutError("the workers are still busy after a minute")


def test_interrupted_writes_resume(world, catalog, client, tmp_path):
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
    resumed = scored.map_partitions(count_and_fail, calls, 1000, meta=scored.meta)
    resumed.write_catalog(path, progress_bar=False, resume=True)
    # Partitions that were written before are not scored again.
    assert len(list(calls.iterdir())) - n_calls < catalog.npartitions
    table = table.copy()
    add_to_table(table, **options)
    assert_same(lsdb.open_catalog(path).compute(progress_bar=False), table)


@pytest.fixture
def kept_services():
    """Close the services that this process keeps for further partitions."""
    from shredfinder import lsdb

    yield
    for key in [key for key in lsdb._kept if key[0] == "service"]:
        lsdb._kept.pop(key).close()


# Without a cluster, warnings of a partition are errors here.
@pytest.mark.filterwarnings("ignore:none of 1 sources was scored")
def test_local_images(tmp_path, kept_services):
    import lsdb

    from shredfinder.lsdb import add_p_cnn

    field = make_field(size=640, n_hosts=3, random_state=3)
    pixels = find_pixels(field, 150, 490)[:12]
    # Declare the survey's own pixel scale for the same pixels.
    field.wcs.wcs.cdelt *= 0.262 / field.pixel_scale
    for band, image in zip(field.bands, field.fluxes, strict=True):
        header = field.wcs.to_header()
        fits.writeto(tmp_path / f"legacysurvey-1-image-{band}.fits", image, header)
    sky = field.wcs.pixel_to_world(*pixels.T)
    table = Table({"objID": np.arange(13), "name": list("abcdefghijklm")})
    table["ra"], table["dec"] = [*sky.ra.deg, 20.0], [*sky.dec.deg, 20.0]
    service = CutoutFetcher("local", base_url=tmp_path)
    # LSDB compiles functions for a margin, which takes seconds and is not needed.
    catalog = lsdb.from_dataframe(table.to_pandas(), partition_rows=12, margin_threshold=None)
    # Without a cluster, Dask uses threads.
    result = add_p_cnn(catalog, service=service).compute(progress_bar=False)
    add_to_table(table, service=service)
    # Some of the sources may look like stars.
    assert set(table["p_cnn_flag"][:12]) <= {"", "not a galaxy"}
    assert np.isfinite(table["p_cnn"][:12]).sum() >= 6
    assert table["p_cnn_flag"][12] == "no coverage"
    assert_same(result, table)


def write_bricks(folder, field, pixels, centers):
    """Write the same field as bricks on the survey's grid, and return positions of its sources."""
    header = field.wcs.to_header()
    wcs = field.wcs.deepcopy()
    positions = []
    for ra, dec in centers:
        name = f"{int(ra * 10):04d}p{int(dec * 10):03d}"
        place = folder / "coadd" / name[:3] / name
        place.mkdir(parents=True)
        header["CRVAL1"], header["CRVAL2"] = wcs.wcs.crval = ra, dec
        for band, image in zip(field.bands, field.fluxes, strict=True):
            path = place / f"legacysurvey-{name}-image-{band}.fits"
            fits.writeto(path, image.astype(np.float32), header)
        positions.append(np.transpose(wcs.wcs_pix2world(*pixels.T, 0)))
    return np.concatenate(positions)


def count_services():
    from shredfinder import lsdb

    return sum(key[0] == "service" for key in lsdb._kept)


@pytest.mark.slow
def test_bricks_across_partitions(tmp_path, client):
    import lsdb

    from shredfinder.lsdb import add_p_cnn

    field = make_field(size=640, n_hosts=3, random_state=3)
    pixels = find_pixels(field, 150, 490)[::3]
    field.wcs.wcs.cdelt *= 0.262 / field.pixel_scale
    # Enough bricks that they are found by their names. Borders of partitions cross some of them.
    centers = [(41.375 + 0.25 * (i % 5), 0.125 + 0.25 * (i // 5)) for i in range(20)]
    positions = write_bricks(tmp_path, field, pixels, centers)
    table = Table({"objID": np.arange(len(positions)), "ra": positions[:, 0]})
    table["dec"], table["name"] = positions[:, 1], [f"source {i}" for i in range(len(positions))]
    catalog = lsdb.from_dataframe(
        table.to_pandas(), partition_rows=6, lowest_order=9, highest_order=9, margin_threshold=None
    )
    bricks = [
        set(part["objID"] // 6) for part in client.gather(client.compute(catalog.to_delayed()))
    ]
    n_parts = np.bincount([brick for part in bricks for brick in part], minlength=len(centers))
    assert catalog.npartitions >= len(centers)
    assert np.count_nonzero(n_parts > 1) >= 5
    service = CutoutFetcher("local", base_url=tmp_path)
    before = client.run(count_services)
    result = add_p_cnn(catalog, service=service).compute(progress_bar=False)
    # Each worker opened the folder once.
    after = client.run(count_services)
    assert [after[worker] - before[worker] for worker in before] == [1, 1]
    with contextlib.closing(LocalImages(tmp_path)) as images:
        add_to_table(table, service=CutoutFetcher(images))
    assert np.isfinite(table["p_cnn"]).sum() >= 60
    assert_same(result, table)


def test_one_partition_at_a_time_queries_a_service(world, catalog, client):
    from shredfinder.lsdb import add_p_cnn

    table = world[1][:30].copy()
    catalog = catalog.query(f"objID <= {table['objID'][-1]}")
    with LoopbackServer(latency=0.02) as server:
        service = CutoutFetcher(
            "legacy",
            base_url=f"{server.url}/viewer",
            cache=False,
            group=False,
            rate=None,
            max_workers=1,
            # The worker is a process of its own, with the pauses of the package.
            retry=RetryPolicy(pause=0.01),
        )
        result = add_p_cnn(catalog, service=service).compute(progress_bar=False)
        times = [at for at, _, _ in server.requests]
        add_to_table(table, service=service)
    # Each request came after the response to the previous one.
    # Blank images are requested three times.
    assert len(times) == len(table) + 2 * np.count_nonzero(table["p_cnn_flag"] == "blank")
    assert np.diff(times).min() >= 0.02
    assert_same(result, table)


def test_invalid_arguments_are_refused(world, catalog, tmp_path, toy_classifier):
    from shredfinder.lsdb import add_p_cnn

    folder, table = world
    good = {"cutouts": folder / "cutouts", "pattern": "{objID}.png"}
    for error, match, arguments in (
        (TypeError, "must be an LSDB catalogue, got Table", {"catalog": table}),
        (ValueError, "got ShredClassifier.*classifier.save", {"classifier": toy_classifier}),
        (FileNotFoundError, "no.model", {"classifier": tmp_path / "no.model"}),
        (ValueError, "scores of all partitions", {"prior": "estimate"}),
        (ValueError, "prior must be", {"prior": 1.5}),
        (ValueError, "which the table does not have", {"pattern": "{object}.png"}),
        (FileNotFoundError, "nowhere' does not exist", {"cutouts": tmp_path / "nowhere"}),
        (
            ValueError,
            "pattern needs a folder of cutouts, got ndarray",
            {"cutouts": np.zeros((120, 128, 128, 3))},
        ),
        (ValueError, "got both cutouts and service", {"service": "legacy"}),
        (ValueError, "describe given cutouts, but cutouts is None", {"cutouts": None}),
        (ValueError, "threads must be", {"threads": 0}),
    ):
        with pytest.raises(error, match=match):
            add_p_cnn(**({"catalog": catalog} | good | arguments))
    for match, arguments in (
        ("no position column 'RA'", {"position": ("RA", "dec")}),
        (
            "must be the names of the columns of right ascension and declination, got 'ra'",
            {"position": "ra"},
        ),
        ("there is no cutout service 'nobody'", {"service": "nobody"}),
        ("must be the name of a service or a CutoutFetcher with one", {"service": object()}),
    ):
        with pytest.raises(ValueError, match=match):
            add_p_cnn(catalog, **arguments)


def test_workers_with_another_model_are_refused(world, catalog, toy_images, tmp_path):
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
    sha256 = ShredClassifier.load().provenance["sha256"]
    job = lsdb._Job(None, sha256, options=None, columns=(), threads=3, fetching=1)
    assert lsdb._load(job).model_.network.threads == 3
    assert conf.threads == 0
