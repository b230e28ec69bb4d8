"""Assignment of shreds to the most probable galaxy around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shredfinder.hosts.sphere import iter_pairs, label_components, tangent_offsets

if TYPE_CHECKING:
    from collections.abc import Callable

    from shredfinder.hosts.light import LightLinks

    FindLinks = Callable[[np.ndarray, np.ndarray, tuple[np.ndarray, ...]], LightLinks]

__all__ = ["Sources", "assign", "compare_peers", "weigh_evidence"]

_ARCSEC = np.radians(1.0 / 3600.0)
# Mean surface brightness within the half-light radius of galaxies that are large enough to be
# shredded, in mag/arcsec²: it gives the size that goes with a flux.
_MU = 21.8
_AREA_PER_FLUX = 10 ** (0.4 * (_MU - 22.5)) / (2 * np.pi)  # squares of radii in arcsec
# A galaxy extends as far as the mean surface brightness of its entries exceeds this.
_MU_MEAN = 24.0
_DENSITY = 10 ** (0.4 * (22.5 - _MU_MEAN))  # nanomaggies per arcsec²
# Half-light over root mean square radius of an exponential disc.
_HALF_PER_RMS = 1.678 / np.sqrt(6.0)
# A nucleus has a small part of its galaxy's light: shreds are looked for within this number of its
# own half-light radii, and within a separation in arcsec.
_SEARCH, _MAX_SEPARATION = 20.0, 600.0
# Half-light radii in arcsec are between these.
_MIN_RADIUS, _MAX_RADIUS = 0.1, 300.0
# Half-light radius of a source of unknown size and flux, in arcsec.
_DEFAULT_RADIUS = 2.0
# Flux in nanomaggies of a source without a positive flux.
_MIN_FLUX = 1e-3
# Pieces are bluer than their galaxy's entry by this, and their colours differ by that in the mean.
_BLUER, _COLOR_SPREAD = 0.12, 0.10
# Shreds around another one count with a weight that falls by e over the first of these separations
# in arcsec, to the width of a cutout; the shred itself counts little.
_PEER_SCALE, _PEER_REACH, _OWN_WEIGHT = 20.0, 60.0, 0.1
# Smaller probabilities of parents hardly matter to the shreds around.
_MIN_PROBABILITY = 1e-3
# Shreds without a galaxy are one group if they are closer than this times the sum of their radii.
_LINK = 1.5

# Logarithms of the odds that a shred is a piece of a galaxy, with a cutout and without, per unit of
# each kind of evidence. They were fitted to simulated fields (benchmarks/parent_weights.py) as in
# multinomial logistic regression: a shred has the galaxies around it to choose from, or none, for
# which the odds are 1.
_WEIGHTS = {
    "constant": (4.50, 4.81),
    # Logarithm of the galaxy's flux.
    "flux": (0.37, 0.09),
    # Logarithm of its ratio to that of the shred if the shred is brighter.
    "deficit": (0.25, 0.54),
    # Square root of the separation over the half-light radius of the galaxy with its shreds.
    "separation": (-2.31, -2.83),
    # Difference of the colours from what is typical in mag.
    "color": (-4.18, -3.24),
    # Distance of the galaxy from the centre of its shreds, over their rms distance: pieces surround
    # their nucleus, but not a galaxy that is seen in front of the disc.
    "imbalance": (-2.72, -3.31),
    # Steps (0.3 mag/arcsec²) by which the light around the shred is brighter than between the two:
    # then the shred belongs to another galaxy.
    "rise": (-0.39, 0.0),
    # Distance of the galaxy from the centre of the light around both, over its rms radius.
    "offset": (-1.81, 0.0),
    # Probability by the other evidence that the shreds around belong to the same galaxy, less that
    # they belong to none: neighbours on the sky are mostly pieces of the same galaxy.
    "peers": (4.19, 7.54),
}
# Least logarithm of the odds of a parent: a piece without a galaxy is a smaller error than a wrong
# galaxy.
_LEAST = 0.4
# A galaxy with less than this share of the light is only the parent of its shreds if the mean
# logarithm of their odds exceeds this: else it would be swallowed by them.
_MIN_SHARE, _MIN_ODDS = 0.27, 4.0


@dataclass(frozen=True)
class Sources:
    """Positions, sizes and fluxes of the rows of a catalogue.

    Attributes
    ----------
    points : `~numpy.ndarray` of shape (n, 3)
        Unit vectors; NaN without a position.
    radius : `~numpy.ndarray` of shape (n,)
        Half-light radii in arcsec; NaN where unknown.
    flux : `~numpy.ndarray` of shape (n,)
        Fluxes in nanomaggies; NaN where unknown.
    color : `~numpy.ndarray` of shape (n,)
        Colours g - r in mag; NaN where unknown.
    shred : `~numpy.ndarray` of bool, of shape (n,)
        Rows that are shreds.
    doubt : `~numpy.ndarray` of shape (n,)
        Logarithm of the odds that a shred is a galaxy, by its score; 0 for galaxies.
    """

    points: np.ndarray
    radius: np.ndarray
    flux: np.ndarray
    color: np.ndarray
    shred: np.ndarray
    doubt: np.ndarray

    def take(self, rows: np.ndarray) -> Sources:
        """Select rows."""
        return Sources(
            self.points[rows],
            self.radius[rows],
            self.flux[rows],
            self.color[rows],
            self.shred[rows],
            self.doubt[rows],
        )


def assign(
    sources: Sources,
    wanted: np.ndarray,
    order: np.ndarray,
    find_links: FindLinks | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Assign shreds to galaxies, or to groups.

    Parameters
    ----------
    sources : Sources
        All ``n`` rows.
    wanted : `~numpy.ndarray` of bool, of shape (n,)
        Shreds to assign; all have a position.
    order : `~numpy.ndarray` of int, of shape (n,)
        An order of the rows that depends on their contents only.
    find_links : callable, optional
        Function that finds connections by light, given the rows' numbers, their unit vectors and
        the pairs of shreds and galaxies.

    Returns
    -------
    parent : `~numpy.ndarray` of int, of shape (n,)
        Row of the galaxy, or of the brightest shred of the group; -1 for rows that are not
        wanted.
    share : `~numpy.ndarray` of float, of shape (n,)
        Probability of that galaxy; 1 for groups.
    """
    n = order.size
    parent, share = np.full(n, -1, dtype=np.intp), np.zeros(n)
    if not wanted.any():
        return parent, share
    # From here on, rows are numbered in the canonical order.
    sources, wanted = sources.take(order), wanted[order]
    # A nucleus that was scored as a shred is still the centre of its pieces: a shred may be the
    # parent of fainter ones.
    galaxy = np.isfinite(sources.points[:, 0]) & (~sources.shred | wanted)
    own = _sizes(sources.radius, sources.flux)
    flux = np.where(np.isfinite(sources.flux), sources.flux, own**2 / _AREA_PER_FLUX)
    flux = np.maximum(flux, _MIN_FLUX)
    pairs = _find_pairs(sources.points, own, flux, wanted, galaxy)
    links = None
    if find_links is not None:
        # Shreds without a galaxy nearby may still be connected with each other.
        own_pairs = (np.flatnonzero(wanted),) * 2
        links = find_links(
            order,
            sources.points,
            tuple(np.concatenate(values) for values in zip(pairs[:2], own_pairs, strict=True)),
        )
    chosen, weight = _choose(sources, own, flux, pairs, links)
    chosen = _follow(chosen)
    lost = np.flatnonzero(wanted & sources.shred[chosen])
    if lost.size:
        chosen[lost] = _group(sources.points, own, flux, lost, chosen[lost], links)
        weight[lost] = 1.0
    parent[order[wanted]] = order[chosen[wanted]]
    share[order[wanted]] = weight[wanted]
    return parent, share


def _sizes(radius, flux):
    """Return half-light radii in arcsec: the catalogue's, or larger ones for bright sources."""
    with np.errstate(invalid="ignore", divide="ignore"):
        by_flux = np.sqrt(flux * _AREA_PER_FLUX)
    largest = np.fmax(np.where(radius > 0, radius, np.nan), by_flux)
    known = np.where(np.isfinite(largest), largest, _DEFAULT_RADIUS)
    return np.clip(known, _MIN_RADIUS, _MAX_RADIUS)


def weigh_evidence(
    sources: Sources,
    own: np.ndarray,
    flux: np.ndarray,
    pairs: tuple[np.ndarray, ...],
    links: LightLinks | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return the evidence for each pair of a shred and a galaxy, as the weights need it.

    Parameters
    ----------
    sources : Sources
        All ``n`` rows.
    own, flux : `~numpy.ndarray` of shape (n,)
        Their half-light radii in arcsec and positive fluxes in nanomaggies.
    pairs : tuple of `~numpy.ndarray`
        Shreds, galaxies and their separations in arcsec, sorted by galaxy and separation.
    links : LightLinks or None
        Connections by light.

    Returns
    -------
    shred, parent, apart : `~numpy.ndarray` of shape (n_pairs,)
        The pairs that dark sky does not separate.
    seen : `~numpy.ndarray` of bool, of shape (n_pairs,)
        Whether the shred's cutout was used.
    evidence : dict of `~numpy.ndarray`
        Values by name.
    """
    shred, parent, apart = pairs
    seen = np.zeros(shred.size, dtype=bool)
    offset = rise = np.zeros(shred.size)
    if links is not None:
        step = links.steps(shred, parent)
        lit = step != -1
        shred, parent, apart, step = (values[lit] for values in (shred, parent, apart, step))
        seen, offset = step >= 0, links.offsets(shred, parent)
        rise = np.where(seen, np.maximum(links.crest[shred] - step, 0), 0)
    _, size = _extend(own, flux, shred, parent, apart)
    color = np.abs(sources.color[shred] - sources.color[parent] + _BLUER)
    return (
        shred,
        parent,
        apart,
        seen,
        {
            "constant": np.ones(shred.size),
            "flux": np.log(flux[parent]),
            "deficit": np.minimum(np.log(flux[parent] / flux[shred]), 0),
            "separation": np.sqrt(apart / size[parent]),
            "color": np.where(np.isfinite(color), color, _COLOR_SPREAD),
            "imbalance": _imbalance(sources.points, own, flux, shred, parent, apart)[parent],
            "rise": rise,
            "offset": offset,
        },
    )


def _choose(sources, own, flux, pairs, links):
    """Return the most probable galaxy of each shred, -1 for none, and its probability."""
    n = own.size
    shred, parent, apart, seen, evidence = weigh_evidence(sources, own, flux, pairs, links)
    odds = sources.doubt[parent]
    for name, values in evidence.items():
        odds += np.where(seen, *_WEIGHTS[name]) * values
    odds += np.where(seen, *_WEIGHTS["peers"]) * compare_peers(sources.points, shred, parent, odds)
    ranked = np.lexsort((parent, apart, -odds, shred))
    shred, parent, odds = shred[ranked], parent[ranked], odds[ranked]
    first = np.r_[True, np.diff(shred) != 0][: shred.size]
    best, top = np.full(n, -1, dtype=np.intp), np.zeros(n)
    best[shred[first]] = parent[first]
    top[shred[first]] = odds[first]
    # Relative to the best galaxy: its odds may be large numbers.
    others = np.bincount(shred, weights=np.exp(odds - top[shred]), minlength=n)
    best[top <= _LEAST] = -1
    best[_outshine(flux, best, top)] = -1
    return best, np.where(best >= 0, 1.0 / (np.maximum(others, 1.0) + np.exp(-top)), 0.0)


def compare_peers(
    points: np.ndarray, shred: np.ndarray, parent: np.ndarray, odds: np.ndarray
) -> np.ndarray:
    """Return the evidence for each pair that the shreds around have the same parent.

    Parameters
    ----------
    points : `~numpy.ndarray` of shape (n, 3)
        Unit vectors of all rows.
    shred, parent : `~numpy.ndarray` of int, of shape (n_pairs,)
        The pairs.
    odds : `~numpy.ndarray` of shape (n_pairs,)
        Logarithms of their odds by the other evidence.

    Returns
    -------
    peers : `~numpy.ndarray` of shape (n_pairs,)
        Mean probability of the parent among the shreds around, less that of no parent: -1 to 1.
    """
    from scipy.sparse import csr_array

    if not shred.size:
        return np.zeros(0)
    n = len(points)
    top = np.zeros(n)
    np.maximum.at(top, shred, odds)
    share = np.exp(odds - top[shred])
    share /= (np.exp(-top) + np.bincount(shred, share, n))[shred]
    none = 1.0 - np.bincount(shred, share, n)
    rows = np.unique(shred)
    reach = np.full(rows.size, _PEER_REACH * _ARCSEC)
    near = list(iter_pairs(points[rows], points[rows], reach))
    other, center, apart = (np.concatenate(values) for values in zip(*near, strict=True))
    weight = np.where(other == center, _OWN_WEIGHT, np.exp(-apart / (_PEER_SCALE * _ARCSEC)))
    peers = csr_array((weight, (rows[center], rows[other])), shape=(n, n))
    likely = share > _MIN_PROBABILITY
    shares = csr_array((share[likely], (shred[likely], parent[likely])), shape=(n, n))
    # A small matrix: each shred has few likely parents.
    same = np.asarray((peers @ shares)[shred, parent]).ravel()
    return (same - (peers @ none)[shred]) / peers.sum(axis=1)[shred]


def _outshine(flux, best, top):
    """Return the shreds that are too bright, together, for the galaxy that was chosen."""
    n = flux.size
    shred = np.flatnonzero(best >= 0)
    galaxy = best[shred]
    light = np.bincount(galaxy, flux[shred], n)
    evidence = np.bincount(galaxy, flux[shred] * top[shred], n)
    doubtful = (flux < _MIN_SHARE * (flux + light)) & (evidence < _MIN_ODDS * light)
    return shred[doubtful[galaxy]]


def _follow(chosen):
    """Return the last one in each chain of parents; rows without a parent are their own."""
    last = np.where(chosen >= 0, chosen, np.arange(chosen.size))
    while not np.array_equal(last, last[last]):
        last = last[last]
    return last


def _find_pairs(points, own, flux, wanted, galaxy):
    """Return shreds, the galaxies and brighter shreds near them, and separations in arcsec."""
    shreds, galaxies = np.flatnonzero(wanted), np.flatnonzero(galaxy)
    reach = np.minimum(_SEARCH * own[galaxies], _MAX_SEPARATION) * _ARCSEC
    pairs = [(shreds[:0], galaxies[:0], np.zeros(0))]
    for point, center, separation in iter_pairs(points[shreds], points[galaxies], reach):
        pairs.append((shreds[point], galaxies[center], separation / _ARCSEC))
    shred, parent, apart = (np.concatenate(values) for values in zip(*pairs, strict=True))
    brighter = ~wanted[parent] | (flux[parent] > flux[shred])
    shred, parent, apart = shred[brighter], parent[brighter], apart[brighter]
    order = np.lexsort((shred, apart, parent))
    return shred[order], parent[order], apart[order]


def _imbalance(points, own, flux, shred, parent, apart):
    """Return how far each galaxy is from the centre of the shreds around it.

    The distance is in units of the root mean square radius: pieces surround their nucleus, but not
    a galaxy that is seen in front of the disc.
    """
    n = own.size
    total, _ = _extend(own, flux, shred, parent, apart)
    within = np.pi * apart**2 * _DENSITY <= total[parent]
    shred, parent, apart = shred[within], parent[within], apart[within]
    # Square roots, so that the brightest shred does not count alone.
    light, light_of_own = np.sqrt(flux[shred]), np.sqrt(flux)
    east, north = tangent_offsets(points[parent], points[shred])
    center = np.hypot(
        np.bincount(parent, light * east, n).astype(float), np.bincount(parent, light * north, n)
    )
    spread = np.bincount(parent, light * (apart**2 + own[shred] ** 2), n) + light_of_own * own**2
    return center / np.sqrt(spread * (np.bincount(parent, light, n) + light_of_own))


def _extend(own, flux, shred, parent, apart):
    """Return the flux and the half-light radius of each galaxy with the shreds around it.

    A galaxy extends as far as the mean surface brightness within it exceeds a limit.
    """
    total, size = flux.copy(), own.copy()
    if shred.size:
        # Pairs are sorted by galaxy and separation, so that a running sum counts outwards.
        first = np.r_[True, np.diff(parent) != 0]
        running = np.cumsum(np.maximum(flux[shred], 0))
        start = np.where(first, running - np.maximum(flux[shred], 0), 0)
        start = np.maximum.accumulate(np.where(first, start, -np.inf))
        within = flux[parent] + running - start
        dense = np.pi * apart**2 * _DENSITY <= within
        # The last dense one counts: later assignments overwrite earlier ones.
        total[parent[dense]] = within[dense]
        # Light of extended discs is fainter than the typical surface brightness: their shreds show
        # how large they are.
        inside = np.pi * apart**2 * _DENSITY <= total[parent]
        square = apart[inside] ** 2 + (own[shred[inside]] / _HALF_PER_RMS) ** 2
        spread = np.bincount(parent[inside], flux[shred[inside]] * square, own.size)
        spread = spread + flux * (own / _HALF_PER_RMS) ** 2
        grown = total > flux
        size[grown] = np.minimum(
            np.fmax(
                _sizes(np.full(own.size, np.nan), total),
                _HALF_PER_RMS * np.sqrt(spread / total),
            ),
            _MAX_RADIUS,
        )[grown]
        size = np.fmax(size, own)
    return total, size


def _group(points, own, flux, lost, parent, links):
    """Return the brightest shred of each lost shred's group."""
    n, sizes = len(points), own[lost]
    first, second = [lost], [parent]
    for point, center, separation in iter_pairs(
        points[lost], points[lost], np.minimum(2 * _LINK * sizes, _MAX_SEPARATION) * _ARCSEC
    ):
        # The pair is found in the circle of the larger one at least.
        near = separation / _ARCSEC <= _LINK * (sizes[point] + sizes[center])
        first.append(lost[point[near]])
        second.append(lost[center[near]])
    a, b = np.concatenate(first), np.concatenate(second)
    if links is not None:
        # Light decides where there are images.
        near = np.maximum(links.steps(a, b), links.steps(b, a)) != -1
        near[: lost.size] = True
        member = np.zeros(n, dtype=bool)
        member[lost] = True
        lit = links.inside & (links.step >= 0) & member[links.first] & member[links.second]
        a, b = np.r_[a[near], links.first[lit]], np.r_[b[near], links.second[lit]]
    label = label_components(n, a, b)[lost]
    ranked = np.lexsort((np.arange(lost.size), -flux[lost], label))
    brightest = ranked[np.r_[True, np.diff(label[ranked]) != 0]]
    # One entry per group, in the order of the labels.
    return lost[brightest[np.searchsorted(label[brightest], label)]]
