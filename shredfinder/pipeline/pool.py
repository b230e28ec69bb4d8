"""A pool of sources to be labelled by eye, balanced by a first model's scores."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.table import Column

from shredfinder._utils.columns import find_column
from shredfinder._utils.fractions import classify
from shredfinder._utils.positions import get_positions
from shredfinder._utils.units import to_value
from shredfinder._utils.validation import check_count
from shredfinder.exceptions import ShredfinderWarning

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.table import Table
    from astropy.units import Quantity

__all__ = ["build_pool"]


def build_pool(
    table: Table,
    n_sources: int = 5000,
    *,
    shred_share: float = 0.4,
    threshold: float = 0.5,
    p_column: str = "p_cnn",
    group_radius: float | Quantity = 0.1 * u.deg,
    random_state: int | np.random.Generator | None = None,
    position: str | tuple[str, str] | SkyCoord | None = None,
) -> Table:
    """Draw sources to be labelled, so that near the wanted share of them are shreds.

    Shreds are a few in a hundred candidates: labelled at random, most of the work would go into
    galaxies. A first model's scores say where to look.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Scored candidates near hosts (`~shredfinder.hosts.join_hosts`), with their positions.
    n_sources : int, optional
        Sources in the pool; the paper labelled 5,000.
    shred_share : float, optional
        Share of them that the first model takes for shreds; the paper's training set has 0.4.
    threshold : float, optional
        A source of this probability or more is taken for a shred.
    p_column : str, optional
        Name of the column of probabilities.
    group_radius : `~astropy.units.Quantity` or float, optional
        Sources nearer to each other share a group, and so do theirs in turn; a plain number is in
        degrees.
    random_state : int, `~numpy.random.Generator` or None, optional
        Seed or source of the randomness.
    position
        Where the sources are, as `~shredfinder.table.get_positions` takes it.

    Returns
    -------
    pool : `~astropy.table.Table`
        Rows of ``table`` in random order, so that nobody knows by a source's place what the model
        thinks of it, with two more columns: ``label``, which is empty, and ``sky_group``, to be
        kept within one fold of a cross-validation.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If a number is out of range, or no row has an answer.

    Warns
    -----
    ShredfinderWarning
        If there are too few sources of a class: the pool is then smaller, at the same share.

    Notes
    -----
    Within a class sources are drawn at random, whatever their scores: a pool of the most certain
    ones would hold nothing that a new model could learn from. The paper drew from the Legacy
    sources within 100 kpc of a galaxy of the NASA-Sloan Atlas (arXiv:2301.09648, section 2.1).

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from shredfinder.pipeline import build_pool
    >>> rng = np.random.default_rng(0)
    >>> table = Table({"objid": np.arange(1000), "ra": rng.uniform(0, 9, 1000),
    ...                "dec": rng.uniform(0, 9, 1000), "p_cnn": rng.uniform(0, 1, 1000) ** 4})
    >>> pool = build_pool(table, 100, random_state=1)
    >>> len(pool), int(np.count_nonzero(pool["p_cnn"] >= 0.5))
    (100, 40)
    """
    check_count(n_sources, "n_sources")
    share = to_value(shred_share, "shred_share", u.dimensionless_unscaled)
    if not 0 <= share <= 1:
        raise ValueError(f"shred_share must be between 0 and 1: got {shred_share}")
    p_cnn, shred = classify(table[find_column(table, p_column)], threshold)
    sky = get_positions(table, position)
    usable = np.isfinite(p_cnn) & np.isfinite(sky.ra) & np.isfinite(sky.dec)
    classes = [np.flatnonzero(usable & shred), np.flatnonzero(usable & ~shred)]
    if not usable.any():
        raise ValueError(f"no row of the table has a {p_column} and a position: score it first")
    wanted = _numbers(n_sources, share, [len(rows) for rows in classes])
    rng = np.random.default_rng(random_state)
    chosen = np.concatenate(
        [rng.choice(rows, n, replace=False) for rows, n in zip(classes, wanted, strict=True)]
    ).astype(int)
    chosen = rng.permutation(chosen)
    pool = table[chosen]
    pool["label"] = Column(
        np.full(len(pool), "", dtype="U8"), description="galaxy, shred or other, by eye"
    )
    pool["sky_group"] = Column(
        _sky_groups(sky[chosen], to_value(group_radius, "group_radius", u.deg)),
        description="Neighbours on the sky: keep a group within one fold",
    )
    return pool


def _numbers(n_sources, share, available):
    """Numbers of shreds and galaxies to draw: as many as wanted, or fewer at the same share."""
    shares = (share, 1 - share)
    total = min(
        [n_sources] + [int(n / part) for n, part in zip(available, shares, strict=True) if part > 0]
    )
    n_shreds = min(round(total * share), available[0])
    n_galaxies = min(total - n_shreds, available[1])
    if total < n_sources:
        warnings.warn(
            f"there are {available[0]} sources that the model takes for shreds and {available[1]} "
            f"for galaxies: the pool has {n_shreds + n_galaxies} and not {n_sources}, to keep the "
            f"share of {share:.0%}",
            ShredfinderWarning,
            stacklevel=3,
        )
    return n_shreds, n_galaxies


def _sky_groups(sky, degrees):
    """Give each source the number of its group: what steps of less than an angle link."""
    if not len(sky):
        return np.zeros(0, dtype=int)
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    tree = cKDTree(sky.cartesian.xyz.value.T)
    reach = 2 * np.sin(np.radians(degrees) / 2)
    linked = tree.sparse_distance_matrix(tree, reach, output_type="coo_matrix")
    return connected_components(linked, directed=False)[1]
