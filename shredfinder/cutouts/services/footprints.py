"""Fields of the sky that images show: where they are, and cutouts from them."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shredfinder.cutouts.grouping import deproject
from shredfinder.cutouts.services.planes import to_vectors
from shredfinder.exceptions import BadResponseError
from shredfinder.imaging.grids import GridFit, fit_grids, make_nodes, resample_grid
from shredfinder.imaging.resampling import resample_lanczos

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shredfinder.cutouts.services.base import CutoutRequest
    from shredfinder.cutouts.services.planes import Plane
    from shredfinder.cutouts.services.tiles import Part

__all__ = ["FieldIndex", "group_planes", "resample"]

# Fields whose headers are kept.
_MAX_LOADED = 512
# Distances are chords, radii may be those of distorted images.
_TOLERANCE = 1.1
# Largest error in pixels of fitted positions.
_MAX_ERROR = 2e-4


def group_planes(planes: Sequence[Plane]) -> list[list[Plane]]:
    """Group the images that have the same coordinates and size, such as bands of a brick."""
    groups: dict[object, list[Plane]] = defaultdict(list)
    for plane in planes:
        groups[plane.grid].append(plane)
    return list(groups.values())


class FieldIndex:
    """Find the fields that cutouts touch, whose number does not matter.

    Parameters
    ----------
    centers : `~numpy.ndarray`
        Unit vectors of the fields' centres, of shape ``(n, 3)``.
    radii : `~numpy.ndarray`
        Their radii in radians, of shape ``(n,)``; upper limits.
    load : callable
        Returns the images of a field, given its number. The last few hundred are kept.
    """

    def __init__(
        self, centers: np.ndarray, radii: np.ndarray, load: Callable[[int], list[Plane]]
    ) -> None:
        from scipy.spatial import cKDTree

        self._tree = cKDTree(centers, balanced_tree=False)
        self._radii, self._reach = radii, float(radii.max(initial=0.0))
        self._load = load
        self._loaded: OrderedDict[int, list[Plane]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._radii)

    @cached_property
    def ranks(self) -> np.ndarray:
        """`~numpy.ndarray` of int: place of each field in an order of neighbours, and a last one.

        Neighbouring fields follow one another, since their edges are read for one another.
        """
        x, y, z = self._tree.data.T
        ranks = np.empty(len(self) + 1, int)
        ranks[np.lexsort((np.arctan2(y, x), z.round(3)))] = np.arange(len(self))
        ranks[-1] = len(self)
        return ranks

    def covers(self, field: int, plane: Plane) -> bool:
        """Return whether an image lies where the index has its field."""
        distance = np.linalg.norm(plane.center - self._tree.data[field])
        return bool(distance + plane.radius < self._radii[field] * _TOLERANCE)

    def nearest(self, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
        """Return the number of the field whose centre is nearest to each position."""
        return self._tree.query(to_vectors(ra, dec))[1]

    def find(self, ra: np.ndarray, dec: np.ndarray, radius: float) -> dict[int, list[int]]:
        """Return the rows of the positions that touch each field, by the fields' numbers.

        Parameters
        ----------
        ra, dec : `~numpy.ndarray`
            Positions in degrees, of shape ``(n,)``.
        radius : float
            Radius around them in radians.
        """
        vectors = to_vectors(ra, dec)
        rows: dict[int, list[int]] = defaultdict(list)
        near = self._tree.query_ball_point(vectors, (self._reach + radius) * _TOLERANCE)
        for row, fields in enumerate(near):
            for field in sorted(fields):
                distance = np.linalg.norm(vectors[row] - self._tree.data[field])
                if distance < (self._radii[field] + radius) * _TOLERANCE:
                    rows[field].append(row)
        return rows

    def load(self, field: int) -> list[Plane]:
        """Return the images of a field."""
        with self._lock:
            if field in self._loaded:
                self._loaded.move_to_end(field)
                return self._loaded[field]
        planes = self._load(field)
        with self._lock:
            self._loaded[field] = planes
            if len(self._loaded) > _MAX_LOADED:
                self._loaded.popitem(last=False)
        return planes

    @classmethod
    def of_planes(cls, planes: Sequence[Plane]) -> FieldIndex:
        """Return the index of images whose headers were read."""
        groups = group_planes(planes)
        centers = np.array([group[0].center for group in groups]).reshape(-1, 3)
        radii = np.array([group[0].radius for group in groups])
        return cls(centers, radii, groups.__getitem__)


class _Sum(NamedTuple):
    """Sum and number of the values of images that overlap."""

    total: np.ndarray
    n: np.ndarray


def resample(
    index: FieldIndex, requests: Sequence[CutoutRequest], bands: Sequence[str]
) -> list[np.ndarray | Exception | None]:
    """Resample images at the pixels of cutouts of the same size and scale.

    Parameters
    ----------
    index : FieldIndex
        The images.
    requests : sequence of CutoutRequest
        The cutouts, best in the order of their fields.
    bands : sequence of str
        Bands of the result.

    Returns
    -------
    fluxes : list
        For each cutout the float32 mean of all images that it touches, of shape
        ``(bands, height, width)``, NaN where there is none; None if it touches none; or the error
        on reading an image.
    """
    first = requests[0]
    width, height, scale = first.width, first.height, first.pixel_scale
    ra, dec = np.array([(r.ra, r.dec) for r in requests]).T
    u, v = make_nodes(width, height)
    # East is left and north up, while pixels count to the right and down.
    node_ra, node_dec = deproject(-u * scale, -v * scale, ra[:, None], dec[:, None])
    radius = np.radians(np.hypot(width, height) / 2 * scale / 3600)
    results: list[np.ndarray | Exception | None] = [None] * len(requests)
    sums: dict[int, _Sum] = {}
    for field, near in index.find(ra, dec, radius).items():
        try:
            groups = group_planes(index.load(field))
        except Exception as error:  # a header may be damaged in any way
            results = [error if row in near else result for row, result in enumerate(results)]
            continue
        for planes in groups:
            # Bands of a brick share the pixel positions.
            rows, fits, parts = _choose_parts(planes[0], near, requests, node_ra, node_dec)
            by_band = [[plane for plane in planes if plane.band == band] for band in bands]
            counts = [len(group) for group in by_band]
            used = [plane for group in by_band for plane in group]
            for row, fit, part in zip(rows if used else [], fits, parts, strict=False):
                if isinstance(results[row], Exception):
                    continue
                try:
                    images = _read(used, part, parts)
                except BadResponseError as error:
                    results[row] = error
                    continue
                if isinstance(fit, GridFit):
                    moved = fit.shift(part.columns.start, part.rows.start, 2**part.level)
                    values = resample_grid(images, moved, width, height)
                else:
                    values = resample_lanczos(images, *part.place(*fit))
                if results[row] is None and counts == [1] * len(counts):
                    results[row] = values
                else:
                    _add(results, sums, row, values, counts)
    for row, sum_ in sums.items():
        if not isinstance(results[row], Exception):
            with np.errstate(invalid="ignore", divide="ignore"):
                results[row] = sum_.total / sum_.n
    return results


def _choose_parts(
    plane: Plane,
    rows: list[int],
    requests: Sequence[CutoutRequest],
    ra: np.ndarray,
    dec: np.ndarray,
) -> tuple[list[int], list[Any], list[Part]]:
    """Return the rows that touch an image, the positions of their pixels, and what to read."""
    request = requests[0]
    width, height, scale = request.width, request.height, request.pixel_scale
    x, y = plane.locate(ra[rows], dec[rows])
    fits = fit_grids(x, y, width, height)
    chosen: list[int] = []
    positions: list[Any] = []
    parts: list[Part] = []
    for i, row in enumerate(rows):
        if fits[i].error < _MAX_ERROR:
            place: Any = fits[i]
            part = plane.choose_part(x[i], y[i], scale)
        else:
            place = _locate_all(plane, requests[row])
            part = plane.choose_part(place[0], place[1], scale)
        if part is not None:
            chosen.append(row)
            positions.append(place)
            parts.append(part)
    return chosen, positions, parts


def _read(planes: list[Plane], part: Part, parts: list[Part]) -> np.ndarray:
    """Read the same part of several images, averaged, as an array of all of them."""
    images = [plane.read(part, parts) for plane in planes]
    return images[0][np.newaxis] if len(images) == 1 else np.stack(images)


def _locate_all(plane: Plane, request: CutoutRequest) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of all pixels of a cutout in an image."""
    v, u = np.indices((request.height, request.width), dtype=float)
    east = ((request.width - 1) / 2 - u) * request.pixel_scale
    north = ((request.height - 1) / 2 - v) * request.pixel_scale
    return plane.locate(*deproject(east, north, request.ra, request.dec))


def _add(results, sums, row, values, counts):
    """Add the images of each band, of which there may be none or several, to a cutout's sum."""
    shape = (len(counts), *values.shape[1:])
    if row not in sums:
        sums[row] = _Sum(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
        if results[row] is not None:
            before = results[row]
            results[row] = None
            _add(results, sums, row, before, [1] * len(counts))
    start = 0
    for band, count in enumerate(counts):
        for image in values[start : start + count]:
            valid = np.isfinite(image)
            sums[row].total[band][valid] += image[valid]
            sums[row].n[band] += valid
        start += count
    results[row] = sums[row].total
