"""All readers of files: each must return valid values or raise an error of the package."""

import traceback
import warnings
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

import shredfinder
from shredfinder import Cutouts, ShredClassifier, ShredTable
from shredfinder.bulk.stores import open_store
from shredfinder.catalogs import read_candidates
from shredfinder.cutouts import CutoutRequest, LocalImages
from shredfinder.cutouts.decoding import decode_color, decode_fits
from shredfinder.exceptions import CutoutMismatchError, ModelFileError, ServiceError
from shredfinder.hosts import read_hosts
from shredfinder.imaging import CutoutFlag, read_image
from shredfinder.table import read_catalogue

PACKAGE = str(Path(shredfinder.__file__).parent)
_IMAGES = np.random.default_rng(0).integers(0, 255, (2, 128, 128, 3), dtype=np.uint8)
_REQUEST = CutoutRequest(150.0, 2.0, 32, 32, 0.46875)


def read_model(path):
    """Load a model and score two images with it."""
    try:
        classifier = ShredClassifier.load(path)
    except ModelFileError as error:
        return check_error(error, path)
    try:
        p_cnn, flags = classifier.predict_p_cnn(_IMAGES)
    except (CutoutMismatchError, ModelFileError) as error:
        return check_error(error)
    assert p_cnn.shape == flags.shape == (2,)
    assert np.all(np.isnan(p_cnn) | ((p_cnn >= 0) & (p_cnn <= 1))), p_cnn
    return "scored"


def read_images(path):
    """Read an image from disk and as the response of a service."""
    image, flag = read_image(path, (32, 32))
    assert isinstance(flag, CutoutFlag)
    assert (image is None) == (flag != CutoutFlag.GOOD)
    if image is not None:
        assert image.shape == (32, 32, 3)
        assert image.dtype == np.uint8
    read_image(path)
    try:
        decoded, _ = decode_color(path.read_bytes(), _REQUEST)
        assert decoded.shape == (32, 32, 3)
    except ServiceError as error:
        check_error(error)
    return flag.value or "read"


def read_mosaic(path):
    """Read a FITS image as the response of a service, and cut from it as a local image."""
    try:
        image = decode_fits(path.read_bytes(), _REQUEST, "grz")
        assert image.shape == (32, 32, 3)
        outcome = "decoded"
    except ServiceError as error:
        outcome = check_error(error)
    try:
        service = LocalImages(str(path), bands="grz", flux_scale=1.0)
    except ValueError as error:
        return check_error(error)
    try:
        fetched = service.fetch(_REQUEST)
        assert fetched.image.shape == (32, 32, 3)
        outcome = "cut"
    except ServiceError as error:
        check_error(error)
    finally:
        service.close()
    return outcome


def read_cutouts(path):
    """Read stored cutouts."""
    try:
        cutouts = Cutouts.read(path)
    except ValueError as error:
        return check_error(error, path)
    assert len(cutouts.flags) == len(cutouts.images)
    return "read"


def read_table(path):
    """Read a table, find its positions and write it."""
    try:
        table = read_catalogue(path)
    except ValueError as error:
        return check_error(error, path)
    assert isinstance(table, ShredTable)
    read_parts(path)
    if "p_cnn" in table.colnames and table["p_cnn"].dtype.kind == "f":
        assert not np.ma.is_masked(table["p_cnn"])
    try:
        coords = table_positions(table)
        assert len(coords) == len(table)
    except (ValueError, KeyError) as error:
        check_error(error)
    return "read"


def read_parts(path):
    """Read a table in parts, as `classify_catalogue` does."""
    try:
        store = open_store(path, path.with_name("output.fits"))
        names = store.template.colnames[:2]
        assert len(store.read(0, min(store.n_rows, 3), names)) <= 3
    except ValueError as error:  # about the file or, more often, about the output
        check_error(error, path.parent)


def table_positions(table):
    """Return the positions of a table's rows."""
    from shredfinder.table import get_positions

    coords = get_positions(table)
    assert isinstance(coords, SkyCoord)
    return coords


def read_survey(path):
    """Read a survey's catalogue and apply its cuts."""
    try:
        table = read_candidates(path, "sdss-dr17", progress=False)
        assert isinstance(table, ShredTable)
        outcome = "read"
    except (ValueError, KeyError) as error:
        outcome = check_error(error, path.name)
    return outcome


def read_galaxies(path):
    """Read a catalogue of hosts, or the NASA-Sloan Atlas."""
    try:
        assert isinstance(read_hosts(path), Table)
    except (ValueError, KeyError, OSError) as error:
        return check_error(error, path)
    return "read"


def check_error(error, path=None):
    """Check that the package raised an error, and that its message names the file."""
    frames = traceback.extract_tb(error.__traceback__)
    assert frames[-1].filename.startswith(PACKAGE), f"raised in {frames[-1].filename}: {error!r}"
    assert str(error), "an error without a message"
    assert path is None or str(path) in str(error), f"the error does not name the file: {error}"
    return type(error).__name__


TARGETS = {
    "model": read_model,
    "image": read_images,
    "mosaic": read_mosaic,
    "cutouts": read_cutouts,
    "table": read_table,
    "catalogue": read_survey,
    "hosts": read_galaxies,
}


def run_target(kind, path):
    """Read a file and check the result.

    Parameters
    ----------
    kind : str
        One of `TARGETS`.
    path : `~pathlib.Path`
        The file.

    Returns
    -------
    outcome : str
        Result of the reader; it begins with ``"FOUND"`` if there is a problem.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return TARGETS[kind](path)
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)
            inside = [frame for frame in where if frame.filename.startswith(PACKAGE)]
            last = inside[-1] if inside else where[-1]
            return f"FOUND {type(error).__name__} at {last.name}: {str(error)[:300]}"
