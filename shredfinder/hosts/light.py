"""Sources that are connected by light in the cutouts of shreds."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.runtime import import_optional
from shredfinder.hosts.sphere import iter_pairs, label_components, tangent_offsets
from shredfinder.imaging import rgb_to_flux
from shredfinder.imaging.cutouts import FLUX
from shredfinder.surveys import COLOR_MAPPINGS, LEGACY

if TYPE_CHECKING:
    from shredfinder.imaging import Cutouts, CutoutSequence

__all__ = ["LightLinks", "find_light_links", "to_surface_brightness"]

_ARCSEC = np.radians(1.0 / 3600.0)
# Standard deviation in arcsec of the smoothing: it joins the noisy pixels of faint discs.
_SMOOTHING = 0.7
# A segment has to exceed the noise of the smoothed image by this factor.
_MIN_SIGNAL = 4.0
# Smallest area of a segment in arcsec².
_MIN_AREA = 1.5
# Area in arcsec² of a small galaxy: knots are smaller.
_LARGE_AREA = 40.0
# Levels of surface brightness: their distance in mag, and their number.
_STEP, _MAX_STEPS = 0.3, 24


@dataclass(frozen=True)
class LightLinks:
    """How bright the light is that connects each shred with the sources around it.

    Brightness is counted in steps of 0.3 mag/arcsec² above the faintest level, from 0; -1 stands
    for no connection.

    Attributes
    ----------
    seen : `~numpy.ndarray` of bool, of shape (n,)
        Rows whose cutout was used.
    crest : `~numpy.ndarray` of int, of shape (n,)
        Brightest step at which the segment around the source has the area of a small galaxy, and
        not only that of a knot.
    first, second : `~numpy.ndarray` of int, of shape (n_pairs,)
        Rows with cutouts, and sources around them, sorted.
    step : `~numpy.ndarray` of int, of shape (n_pairs,)
        Brightest step at which both are in one segment. For a source outside the cutout: at which
        the segment reaches the edge of the cutout in the direction of the source.
    inside : `~numpy.ndarray` of bool, of shape (n_pairs,)
        Whether the second source is within the cutout of the first.
    offset : `~numpy.ndarray` of float, of shape (n_pairs,)
        Distance of the second source from the centre of a segment with both, in units of the
        segment's root mean square radius: the smallest of all steps; 0 if it is unknown, since
        the segments reach the edge of the cutout.
    """

    seen: np.ndarray
    crest: np.ndarray
    first: np.ndarray
    second: np.ndarray
    step: np.ndarray
    inside: np.ndarray
    offset: np.ndarray

    def steps(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the steps at which light may connect pairs of rows.

        Light connects two sources also by a chain of others, through several cutouts.

        Parameters
        ----------
        first, second : `~numpy.ndarray` of int, of shape (n_pairs,)
            Rows of shreds and of possible parents.

        Returns
        -------
        step : `~numpy.ndarray` of int, of shape (n_pairs,)
            The brightest step; -2 if the shred's cutout was not used.
        """
        result, _ = self._look_up(first, second, self.step, -1)
        n = self.seen.size
        for step in range(int(self.step.max(initial=-1)) + 1):
            used = self.inside & (self.step >= step)
            label = label_components(n, self.first[used], self.second[used])
            chained = label[first] == label[second]
            result[chained] = np.maximum(result[chained], step)
        result[~self.seen[first]] = -2
        return result

    def offsets(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return ``offset`` of pairs of rows, 0 where it is unknown."""
        return self._look_up(first, second, self.offset, 0.0)[0]

    def contains(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return whether the second source of each pair is within the cutout of the first."""
        return self._look_up(first, second, self.inside, False)[0]

    def _look_up(self, first, second, values, default):
        n = self.seen.size
        known = self.first.astype(np.int64) * n + self.second
        wanted = first.astype(np.int64) * n + second
        if not known.size:
            return np.full(first.size, default), np.zeros(first.size, dtype=bool)
        place = np.minimum(np.searchsorted(known, wanted), known.size - 1)
        found = known[place] == wanted
        return np.where(found, values[place], default), found


def find_light_links(
    cutouts: Cutouts | CutoutSequence,
    rows: np.ndarray,
    points: np.ndarray,
    pairs: tuple[np.ndarray, np.ndarray],
    surface_brightness: float,
) -> LightLinks:
    """Find the sources that light connects with each shred.

    Parameters
    ----------
    cutouts : Cutouts or CutoutSequence
        Cutouts centred on the sources, of fluxes or with a known colour mapping.
    rows : `~numpy.ndarray` of int, of shape (n,)
        Number of each source's cutout.
    points : `~numpy.ndarray` of shape (n, 3)
        Unit vectors of all sources; NaN without a position.
    pairs : tuple of `~numpy.ndarray`
        Shreds and the galaxies that may be their parents. Sources within the shreds' cutouts are
        added.
    surface_brightness : float
        Surface brightness in r, in mag/arcsec², down to which light connects sources.

    Returns
    -------
    links : LightLinks
        The connections.

    Raises
    ------
    ValueError
        If the fluxes behind the colours are unknown.
    MissingDependencyError
        If photutils is not installed.
    """
    n = len(points)
    seen, crest = np.zeros(n, dtype=bool), np.full(n, -1)
    shreds = np.unique(pairs[0])
    if not shreds.size:
        empty = np.zeros(0, dtype=np.intp)
        return LightLinks(seen, crest, empty, empty, empty, empty.astype(bool), np.zeros(0))
    number = int(rows[shreds[0]])
    facts = cutouts[number : number + 1]
    if facts.color_mapping != FLUX and facts.color_mapping not in COLOR_MAPPINGS:
        raise ValueError(
            f"the fluxes behind colours of the mapping {facts.color_mapping!r} are unknown, but "
            "surface brightness needs them: pass cutouts of fluxes or of one of the mappings "
            f"{', '.join(COLOR_MAPPINGS)}, or none"
        )
    first, second = _add_neighbours(points, shreds, pairs, facts)
    east, north = tangent_offsets(points[first], points[second])
    # North is up and east is left: offsets from the cutout's centre in pixels.
    x, y = -east / facts.pixel_scale, -north / facts.pixel_scale
    height, width = facts.size
    # Sources outside are moved to the edge, in their direction.
    beyond = np.maximum(np.abs(x) / ((width - 1) / 2), np.abs(y) / ((height - 1) / 2))
    inside = beyond <= 1
    x = x / np.maximum(beyond, 1) + (width - 1) / 2
    y = y / np.maximum(beyond, 1) + (height - 1) / 2
    step, offset = np.full(first.size, -1), np.full(first.size, np.inf)
    starts, ends = (np.searchsorted(first, shreds, side=side) for side in ("left", "right"))
    faintest = 10 ** (0.4 * (22.5 - surface_brightness))
    # One image at a time: a sequence of cutouts may be longer than the memory.
    for shred, start, end in zip(shreds.tolist(), starts, ends, strict=True):
        number = int(rows[shred])
        cutout = cutouts[number : number + 1]
        if cutout.good[0]:
            seen[shred] = True
            part = slice(start, end)
            crest[shred] = _connect(cutout, x[part], y[part], step[part], offset[part], faintest)
    offset[np.isinf(offset) | ~inside] = 0
    return LightLinks(seen, crest, first, second, step, inside, offset)


def _add_neighbours(points, shreds, pairs, facts):
    """Return the pairs and those of shreds and other sources within their cutouts, sorted."""
    n = len(points)
    placed = np.flatnonzero(np.isfinite(points[:, 0]))
    # The circle in the square: sources in the corners are more often than not unrelated.
    reach = min(facts.size) / 2 * facts.pixel_scale * _ARCSEC
    keys = [np.asarray(pairs[0], dtype=np.int64) * n + pairs[1]]
    for point, center, _ in iter_pairs(points[placed], points[shreds], np.full(shreds.size, reach)):
        other, shred = placed[point], shreds[center]
        keys.append(shred[other != shred].astype(np.int64) * n + other[other != shred])
    first, second = np.divmod(np.unique(np.concatenate(keys)), n)
    return first, second


def _connect(cutout, x, y, steps, offset, faintest):
    """Write the steps and offsets of the sources at x and y; return the source's crest."""
    image, lowest = _smooth(cutout, faintest)
    height, width = image.shape
    center = np.array([(width - 1) / 2]), np.array([(height - 1) / 2])
    n_pixels, n_large = (max(int(a / cutout.pixel_scale**2), 1) for a in (_MIN_AREA, _LARGE_AREA))
    crest = -1
    # From faint to bright, until the shred is alone.
    for step in range(_MAX_STEPS):
        threshold = faintest * 10 ** (0.4 * _STEP * step)
        if threshold < lowest:
            continue
        segments = _segment(image, threshold, n_pixels)
        own = 0 if segments is None else _label_at(segments, *center)[0]
        if own == 0:
            break
        segment = segments == own
        large = np.count_nonzero(segment) >= n_large
        connected = _label_at(segments, x, y) == own
        if not (large or connected.any()):
            break
        crest = step if large else crest
        steps[connected] = step
        if connected.any() and not _rim(segment).any():
            apart = _measure_offsets(image, segment, x[connected], y[connected])
            offset[connected] = np.minimum(offset[connected], apart)
    return crest


def _rim(image):
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def _measure_offsets(image, segment, x, y):
    """Return distances from a segment's centre of light in units of its rms radius."""
    rows, columns = np.nonzero(segment)
    light = image[rows, columns]
    center_x, center_y = (np.average(values, weights=light) for values in (columns, rows))
    rms = np.sqrt(np.average((columns - center_x) ** 2 + (rows - center_y) ** 2, weights=light))
    return np.hypot(x - center_x, y - center_y) / max(rms, 1.0)


def _smooth(cutout, faintest):
    """Return the smoothed image (nanomaggies per arcsec²) and a threshold above its noise."""
    from scipy.ndimage import gaussian_filter

    scale = cutout.pixel_scale
    planes, bands = to_surface_brightness(cutout)
    # r, or the middle band.
    image = planes[bands.index("r") if "r" in bands else len(bands) // 2]
    image = gaussian_filter(np.nan_to_num(image), _SMOOTHING / scale)
    # Differences of pixels far enough apart to be independent measure the noise, also where a
    # galaxy covers the whole cutout.
    step = max(int(np.ceil(4 * _SMOOTHING / scale)), 1)
    difference = image[step:] - image[:-step]
    noise = 1.4826 * np.median(np.abs(difference - np.median(difference))) / np.sqrt(2)
    # Within a large galaxy, gradients count as noise: the threshold must not follow them.
    return image, min(_MIN_SIGNAL * noise, 2 * faintest)


def _segment(image, threshold, n_pixels):
    """Return the segments of light as an image of labels, 0 for sky; None if there are none."""
    segmentation = import_optional("photutils.segmentation", "the segmentation of cutouts")
    with warnings.catch_warnings():
        # Without sources photutils warns, and returns None.
        warnings.simplefilter("ignore")
        found = segmentation.detect_sources(image, threshold, n_pixels)
    return None if found is None else found.data


def to_surface_brightness(cutout: Cutouts) -> tuple[np.ndarray, tuple[str, ...]]:
    """Convert a cutout of fluxes or colours to surface brightness.

    Parameters
    ----------
    cutout : Cutouts
        One cutout, of fluxes in nanomaggies per native pixel of the Legacy Surveys, or in colours
        whose mapping is known.

    Returns
    -------
    planes : `~numpy.ndarray` of shape (n_bands, height, width)
        Nanomaggies per square arcsec.
    bands : tuple of str
        The bands.
    """
    image = cutout.images[0]
    if cutout.color_mapping == FLUX:
        return np.moveaxis(image, -1, 0) / LEGACY.native_pixel_scale**2, cutout.bands
    mapping = COLOR_MAPPINGS[str(cutout.color_mapping)]
    if image.dtype != np.uint8:
        image = np.clip(image * 255, 0, 255)
    fluxes = rgb_to_flux(image, color_mapping=mapping.name)
    return fluxes / mapping.native_pixel_scale**2, mapping.bands


def _label_at(segments, x, y):
    """Return the label at each position, or that of an adjacent pixel: centres may be holes."""
    height, width = segments.shape
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    labels = np.zeros(column.size, dtype=int)
    for dy in (0, -1, 1):
        for dx in (0, -1, 1):
            near = segments[np.clip(row + dy, 0, height - 1), np.clip(column + dx, 0, width - 1)]
            labels = np.where(labels == 0, near, labels)
    return labels
