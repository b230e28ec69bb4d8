"""The pixels of a galaxy in an image, and those of stars and other galaxies."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from shredfinder._utils.runtime import import_optional

__all__ = ["ImageRows", "find_light", "label_at"]

# Width in arcsec of the Gaussian that smooths the detection image.
_SMOOTHING = 0.5
# Segments exceed the noise of the smoothed image by this factor, and have this area in arcsec².
_THRESHOLD, _MIN_AREA = 1.5, 1.0
# Smallest share of a segment's light that is deblended, and the number of levels.
_CONTRAST, _N_LEVELS = 0.001, 24
# Masks of other sources are widened by this in arcsec.
_MARGIN = 1.2
# A peak without a catalogue entry that exceeds the light in the ring around it by this factor is a
# star or another galaxy: knots and arms stand out less.
_STAR_CONTRAST, _RING = 5.0, (2.0, 3.2)
# A peak is masked as far as it exceeds the ring by this factor, and at least to this radius.
_PEAK_EDGE, _PEAK_RADIUS = 1.5, 1.5
# Other galaxies within a segment are masked to this multiple of their half-light radius.
_REACH = 2.0
# Smallest half-light radius in arcsec by which distances are weighed.
_MIN_RADIUS = 1.0


@dataclass(frozen=True)
class ImageRows:
    """Catalogue entries in an image.

    Attributes
    ----------
    x, y : `~numpy.ndarray` of shape (n,)
        Positions in pixels.
    radius : `~numpy.ndarray` of shape (n,)
        Half-light radii in pixels; NaN where unknown.
    own : `~numpy.ndarray` of bool, of shape (n,)
        Whether an entry belongs to the galaxy.
    main : `~numpy.ndarray` of bool, of shape (n,)
        Whether it is the galaxy's own row, or the brightest entry of a recovered galaxy.
    """

    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    own: np.ndarray
    main: np.ndarray

    def within(self, shape: tuple[int, int]) -> ImageRows:
        """Select the entries inside an image of a shape."""
        height, width = shape
        inside = (self.x > -0.5) & (self.x < width - 0.5)
        inside &= (self.y > -0.5) & (self.y < height - 0.5)
        return ImageRows(
            self.x[inside], self.y[inside], self.radius[inside], self.own[inside], self.main[inside]
        )


def find_light(
    image: np.ndarray, noise: float, missing: np.ndarray, rows: ImageRows, scale: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the pixels of a galaxy, and those to mask.

    Parameters
    ----------
    image : `~numpy.ndarray` of shape (height, width)
        Detection image, without the sky.
    noise : float
        Its noise per pixel.
    missing : `~numpy.ndarray` of bool, of shape (height, width)
        Pixels without a value.
    rows : ImageRows
        Entries in the image.
    scale : float
        Pixel scale in arcsec per pixel.

    Returns
    -------
    light : `~numpy.ndarray` of bool, of shape (height, width)
        The galaxy's pixels; none if it is not detected.
    mask : `~numpy.ndarray` of bool, of shape (height, width)
        Pixels of stars and other galaxies.
    source : `~numpy.ndarray` of bool, of shape (height, width)
        Pixels of any source.

    Raises
    ------
    MissingDependencyError
        If photutils or scikit-image is not installed.
    """
    from scipy.ndimage import gaussian_filter

    segmentation = import_optional("photutils.segmentation", "photometry in images")
    # photutils deblends with scikit-image.
    import_optional("skimage.segmentation", "photometry in images")
    background = import_optional("photutils.background", "photometry in images")
    nothing = np.zeros(image.shape, dtype=bool)
    smooth = gaussian_filter(image, _SMOOTHING / scale)
    noise = min(float(background.MADStdBackgroundRMS()(smooth[~missing])), noise)
    n_pixels = max(int(_MIN_AREA / scale**2), 3)
    with warnings.catch_warnings():
        # Without sources photutils warns and returns None; deblending warns of single pixels.
        warnings.simplefilter("ignore")
        found = segmentation.detect_sources(smooth, _THRESHOLD * noise, n_pixels, mask=missing)
        if found is None:
            return nothing, nothing, nothing
        islands = np.unique(label_at(found.data, rows.x[rows.own], rows.y[rows.own]))
        islands = islands[islands > 0]
        if not islands.size:
            return nothing, _widen(found.data > 0, scale), found.data > 0
        labels = segmentation.deblend_sources(
            smooth,
            found,
            n_pixels,
            labels=islands,
            n_levels=_N_LEVELS,
            contrast=_CONTRAST,
            progress_bar=False,
        ).data
    island = np.isin(found.data, islands)
    kept, dropped, spots = _sort_segments(image, smooth, noise, labels, island, rows, scale)
    mask = ((labels > 0) & ~island) | np.isin(labels, dropped) | spots
    mask = _widen(mask, scale)
    _mask_shared(mask, labels, kept, rows)
    light = island & np.isin(labels, kept) & ~mask
    return _connected(light, rows), mask, labels > 0


def label_at(labels: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the label of each position in pixels, all of which are inside the image."""
    return labels[np.rint(y).astype(int), np.rint(x).astype(int)]


def _widen(mask, scale):
    from scipy.ndimage import binary_dilation

    radius = int(np.ceil(_MARGIN / scale))
    y, x = np.indices((2 * radius + 1, 2 * radius + 1)) - radius
    return binary_dilation(mask, np.hypot(x, y) <= radius)


def _sort_segments(image, smooth, noise, labels, island, rows, scale):
    """Return the labels of the galaxy's segments and of others', and the pixels of stars."""
    at_rows = label_at(labels, rows.x, rows.y)
    own = np.setdiff1d(at_rows[rows.own], 0)
    others = np.setdiff1d(at_rows[~rows.own], np.r_[own, 0])
    kept, dropped = own.tolist(), others.tolist()
    spots = np.zeros(labels.shape, dtype=bool)
    weights = np.fmax(rows.radius, _MIN_RADIUS / scale)
    free = np.setdiff1d(labels[island], np.r_[own, others, 0])
    for label, where in _bounding_boxes(labels, free):
        segment = labels[where] == label
        place = np.argmax(np.where(segment, smooth[where], -np.inf))
        top, left = (part.start for part in where)
        y, x = np.add(np.unravel_index(place, segment.shape), (top, left))
        # A segment without an entry belongs to the entry that is nearest for its size.
        nearest = np.argmin(np.hypot(rows.x - x, rows.y - y) / weights)
        if not rows.own[nearest]:
            dropped.append(label)
            continue
        kept.append(label)
        near, distance = _surroundings(labels.shape, x, y, scale)
        ring = max(np.median(image[near][(distance > _RING[0]) & (distance < _RING[1])]), noise)
        if image[y, x] > _STAR_CONTRAST * ring:
            spots[where] |= segment & (smooth[where] > _PEAK_EDGE * ring)
            spots[near] |= distance < _PEAK_RADIUS
    return kept, dropped, spots


def _bounding_boxes(labels, wanted):
    from scipy.ndimage import find_objects

    boxes = find_objects(labels)
    return [(int(label), boxes[label - 1]) for label in wanted]


def _surroundings(shape, x, y, scale):
    """Return the slices around a pixel that hold the ring, and the distances in arcsec."""
    reach = int(np.ceil(_RING[1] / scale))
    near = (
        slice(max(y - reach, 0), min(y + reach + 1, shape[0])),
        slice(max(x - reach, 0), min(x + reach + 1, shape[1])),
    )
    rows, columns = np.mgrid[near]
    return near, np.hypot(rows - y, columns - x) * scale


def _mask_shared(mask, labels, kept, rows):
    """Mask circles around other entries that have no segment of their own."""
    at_rows = label_at(labels, rows.x, rows.y)
    shared = np.flatnonzero(~rows.own & (np.isin(at_rows, kept) | (at_rows == 0)))
    if not shared.size:
        return
    y, x = np.indices(mask.shape, dtype=np.float32)
    for row in shared:
        # The galaxy's own entries stay outside.
        apart = np.hypot(rows.x[rows.own] - rows.x[row], rows.y[rows.own] - rows.y[row]).min()
        radius = min(_REACH * np.nan_to_num(rows.radius[row]), 0.5 * apart)
        mask |= np.hypot(x - rows.x[row], y - rows.y[row]) < radius


def _connected(light, rows):
    """Return the parts of the galaxy's light that contain one of its entries."""
    from scipy.ndimage import label

    parts, _ = label(light)
    with_entry = np.setdiff1d(label_at(parts, rows.x[rows.own], rows.y[rows.own]), 0)
    return np.isin(parts, with_entry)
