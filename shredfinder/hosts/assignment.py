"""Assignment of shreds to galaxies by light, size and separation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shredfinder.hosts.sphere import iter_pairs, label_components, tangent_offsets

if TYPE_CHECKING:
    from collections.abc import Callable

    from shredfinder.hosts.light import LightLinks

    FindLinks = Callable[[np.ndarray, np.ndarray, tuple[np.ndarray, ...]], LightLinks]

__all__ = ["Sources", "assign"]

_ARCSEC = np.radians(1.0 / 3600.0)
# Exponential profile: exp(-1.678 r / R), with the half-light radius R.
_DECAY = 1.678
# Mean surface brightness within the half-light radius of galaxies that are large enough to be
# shredded, in mag/arcsec²: it gives the size that goes with a flux.
_MU = 21.8
# A galaxy extends as far as the mean surface brightness of its entries exceeds this.
_MU_MEAN = 24.0
_DENSITY = 10 ** (0.4 * (22.5 - _MU_MEAN))  # nanomaggies per arcsec²
# Half-light over root mean square radius of an exponential disc.
_HALF_PER_RMS = _DECAY / np.sqrt(6.0)
# Shreds lie within this number of half-light radii; farther out if light connects them.
_REACH, _LIGHT_REACH = 2.0, 4.0
# A nucleus has a small part of its galaxy's light: shreds are looked for within this number of its
# own half-light radii, and within a separation in arcsec.
_SEARCH, _MAX_SEPARATION = 20.0, 600.0
_MAX_RADIUS = 300.0
# Half-light radius of a source of unknown size and flux, in arcsec.
_DEFAULT_RADIUS = 2.0
# Flux in nanomaggies of a source without a positive flux.
_MIN_FLUX = 1e-3
# Weights of a galaxy's own light, besides that of its shreds, and of the square of its distance
# from the centre of the shreds around it.
_OWN, _BALANCE = 1.0, 8.0
# Weights of the evidence from cutouts: one step (0.3 mag/arcsec²) of brighter light, and the square
# of the offset from the centre of light.
_LEVEL, _OFFSET = 0.5, 10.0
# A galaxy is not in the middle of the light around the shred, or the light rises by this number of
# steps away from it: then the shred is part of something else.
_MAX_OFFSET, _MAX_RISE = 0.6, 5
# Of galaxies beyond the cutout, only the direction is seen: they are larger, and so are their
# knots, but light at the edge of the cutout connects with them less certainly.
_REACH_BEYOND, _MAX_RISE_BEYOND = 2.5, 8
# Brighter light, by this number of steps, connects the shred with another galaxy.
_MAX_FAINTER = 3
# Shreds without a galaxy are one group if they are closer than this times the sum of their radii.
_LINK = 1.5
_MAX_ROUNDS = 8


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
    shred : `~numpy.ndarray` of bool, of shape (n,)
        Rows that are shreds.
    """

    points: np.ndarray
    radius: np.ndarray
    flux: np.ndarray
    shred: np.ndarray

    def take(self, rows: np.ndarray) -> Sources:
        """Select rows."""
        return Sources(self.points[rows], self.radius[rows], self.flux[rows], self.shred[rows])


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
        Share of that galaxy among the possible ones.
    """
    n = order.size
    parent, share = np.full(n, -1, dtype=np.intp), np.zeros(n)
    if not wanted.any():
        return parent, share
    # From here on, rows are numbered in the canonical order.
    sources, wanted = sources.take(order), wanted[order]
    galaxy = np.isfinite(sources.points[:, 0]) & ~sources.shred
    own = _sizes(sources.radius, sources.flux)
    flux = np.where(sources.flux > 0, sources.flux, _MIN_FLUX)
    pairs = _find_pairs(sources.points, own, wanted, galaxy)
    links = None
    if find_links is not None:
        # Shreds without a galaxy nearby may still be connected with each other.
        own_pairs = (np.flatnonzero(wanted),) * 2
        links = find_links(
            order,
            sources.points,
            tuple(np.concatenate(values) for values in zip(pairs[:2], own_pairs, strict=True)),
        )
    chosen, weight = _grow(sources.points, own, flux, pairs, links)
    lost = np.flatnonzero(wanted & (chosen < 0))
    if lost.size:
        chosen[lost] = _group(sources.points, own, flux, lost, links)
        weight[lost] = 1.0
    found = chosen >= 0
    parent[order[found]] = order[chosen[found]]
    share[order[found]] = weight[found]
    return parent, share


def _sizes(radius, flux):
    """Return half-light radii in arcsec: the catalogue's, or larger ones for bright sources."""
    with np.errstate(invalid="ignore", divide="ignore"):
        by_flux = np.sqrt(flux * 10 ** (0.4 * (_MU - 22.5)) / (2 * np.pi))
    largest = np.fmax(np.where(radius > 0, radius, np.nan), by_flux)
    return np.minimum(np.where(np.isfinite(largest), largest, _DEFAULT_RADIUS), _MAX_RADIUS)


def _grow(points, own, flux, pairs, links):
    """Assign shreds to galaxies, whose light and size include those of their shreds."""
    n = own.size
    shred, parent, apart = pairs
    step, offset = np.full(shred.size, -2), np.zeros(shred.size)
    beyond = np.zeros(shred.size, dtype=bool)
    if links is not None:
        step, offset = links.steps(shred, parent), links.offsets(shred, parent)
        rise = np.where(step >= 0, links.crest[shred] - step, 0)
        beyond = (step >= 0) & ~links.contains(shred, parent)
        possible = (
            (step != -1)
            & (offset <= _MAX_OFFSET)
            & (rise <= np.where(beyond, _MAX_RISE_BEYOND, _MAX_RISE))
        )
        brightest = np.full(n, -1)
        # Galaxies that are excluded already do not count.
        np.maximum.at(brightest, shred[possible], step[possible])
        possible &= (step == -2) | (step >= brightest[shred] - _MAX_FAINTER)
        shred, parent, apart, step, offset, beyond = (
            values[possible] for values in (shred, parent, apart, step, offset, beyond)
        )
    # Galaxies in front of a disc are surrounded by as many shreds as the nucleus, but are fainter
    # and not in the middle.
    prior = (
        _OWN * np.log(flux) - _BALANCE * _imbalance(points, own, flux, shred, parent, apart) ** 2
    )
    bonus = _LEVEL * step - _OFFSET * offset**2 + prior[parent]
    reach = np.where(step < 0, _REACH, np.where(beyond, _REACH_BEYOND, _LIGHT_REACH))
    chosen, weight = np.full(n, -1, dtype=np.intp), np.zeros(n)
    for _ in range(_MAX_ROUNDS):
        # A galaxy grows with its own shreds and with those that have no galaxy yet.
        free = (chosen[shred] < 0) | (chosen[shred] == parent)
        total, size = _extend(own, flux, shred[free], parent[free], apart[free])
        near = apart <= reach * size[parent]
        best, weight = _choose(
            shred[near], parent[near], apart[near], bonus[near], total=total, size=size
        )
        if np.array_equal(best, chosen):
            break
        chosen = best
    return chosen, weight


def _find_pairs(points, own, wanted, galaxy):
    """Return shreds and the galaxies near them, and their separations in arcsec."""
    shreds, galaxies = np.flatnonzero(wanted), np.flatnonzero(galaxy)
    reach = np.minimum(_SEARCH * own[galaxies], _MAX_SEPARATION) * _ARCSEC
    pairs = [(shreds[:0], galaxies[:0], np.zeros(0))]
    for point, center, separation in iter_pairs(points[shreds], points[galaxies], reach):
        pairs.append((shreds[point], galaxies[center], separation / _ARCSEC))
    shred, parent, apart = (np.concatenate(values) for values in zip(*pairs, strict=True))
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
    light = flux[shred]
    east, north = tangent_offsets(points[parent], points[shred])
    center = np.hypot(
        np.bincount(parent, light * east, n).astype(float), np.bincount(parent, light * north, n)
    )
    spread = np.bincount(parent, light * (apart**2 + own[shred] ** 2), n) + flux * own**2
    light = np.bincount(parent, light, n) + flux
    return center / np.sqrt(spread * light)


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


def _choose(shred, parent, apart, bonus, total, size):
    """Return the best galaxy of each shred, -1 for none, and its share."""
    n = total.size
    # Expected light of the galaxy at the shred: a faint companion must be much nearer.
    score = np.log(total[parent]) - _DECAY * apart / size[parent]
    # Brighter light between the two makes a galaxy more probable.
    score += bonus
    ranked = np.lexsort((parent, apart, -score, shred))
    shred, parent, score = shred[ranked], parent[ranked], score[ranked]
    first = np.r_[True, np.diff(shred) != 0][: shred.size]
    best, top = np.full(n, -1, dtype=np.intp), np.zeros(n)
    best[shred[first]] = parent[first]
    top[shred[first]] = score[first]
    others = np.bincount(shred, weights=np.exp(score - top[shred]), minlength=n)
    return best, np.where(best >= 0, 1.0 / np.maximum(others, 1.0), 0.0)


def _group(points, own, flux, lost, links):
    """Return the brightest shred of each lost shred's group."""
    n, sizes = len(points), own[lost]
    first, second = [lost], [lost]
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
        member = np.zeros(n, dtype=bool)
        member[lost] = True
        lit = links.inside & (links.step >= 0) & member[links.first] & member[links.second]
        a, b = np.r_[a[near], links.first[lit]], np.r_[b[near], links.second[lit]]
    label = label_components(n, a, b)[lost]
    ranked = np.lexsort((np.arange(lost.size), -flux[lost], label))
    brightest = ranked[np.r_[True, np.diff(label[ranked]) != 0]]
    # One entry per group, in the order of the labels.
    return lost[brightest[np.searchsorted(label[brightest], label)]]
