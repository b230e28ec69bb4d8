"""Pools of sources to label by eye, balanced by the scores of a first model."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.table import Column

from shredfinder._utils.columns import as_table, find_column
from shredfinder._utils.fractions import classify
from shredfinder._utils.positions import get_positions
from shredfinder._utils.units import to_value
from shredfinder._utils.validation import check_count
from shredfinder.exceptions import ShredfinderWarning

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.table import Table
    from astropy.units import Quantity

__all__ = ["POOL_COLUMNS", "build_pool", "check_pool_columns"]

# Columns that a pool adds
POOL_COLUMNS = ("label", "sky_group")


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
    """Draw sources to label, of which about a given fraction are shreds.

    Only a few per cent of candidates are shreds, so in a random sample most labels would be spent
    on galaxies. The scores of a first model balance the sample.

    Parameters
    ----------
    table : `~astropy.table.Table`, `pandas.DataFrame` or structured array
        Scored candidates near hosts (`~shredfinder.hosts.join_hosts`), with positions.
    n_sources : int, optional
        Number of sources in the pool; the paper labelled 5,000.
    shred_share : float, optional
        Fraction of the pool classified as shreds by the first model; 0.4 in the paper's training
        set.
    threshold : float, optional
        Sources with a probability at or above it are shreds.
    p_column : str, optional
        Column of probabilities.
    group_radius : `~astropy.units.Quantity` or float, optional
        Linking length: sources closer than this share a group, as in friends-of-friends; a plain
        number is in degrees.
    random_state : int, `~numpy.random.Generator` or None, optional
        Random seed or generator.
    position
        Positions of the sources, as for `~shredfinder.table.get_positions`.

    Returns
    -------
    pool : `~astropy.table.Table`
        Rows of ``table`` in random order, so that the order does not reveal the scores, with two
        more columns: ``label``, which is empty, and ``sky_group``, whose groups should not be
        split between the folds of a cross-validation.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If a number is out of range, no row is scored and has a position, or the table has a column
        ``label`` or ``sky_group`` already.

    Warns
    -----
    ShredfinderWarning
        If a class has too few sources: the pool is then smaller, with the same fraction.

    Notes
    -----
    Within a class, sources are drawn at random whatever their scores, since a new model learns
    little from the most certain ones. The paper drew from Legacy sources within 100 kpc of galaxies
    in the NASA-Sloan Atlas (arXiv:2301.09648, section 2.1).

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
    table = as_table(table)
    check_pool_columns(table)
    share = to_value(shred_share, "shred_share", u.dimensionless_unscaled)
    if not 0 <= share <= 1:
        raise ValueError(f"shred_share must be between 0 and 1: got {shred_share}")
    p_cnn, shred = classify(table[find_column(table, p_column)], threshold)
    sky = get_positions(table, position)
    usable = np.isfinite(p_cnn) & np.isfinite(sky.ra) & np.isfinite(sky.dec)
    classes = [np.flatnonzero(usable & shred), np.flatnonzero(usable & ~shred)]
    if not usable.any():
        raise ValueError(f"no row has both a {p_column} and a position: score the table first")
    numbers = _class_numbers(n_sources, share, [len(rows) for rows in classes])
    rng = np.random.default_rng(random_state)
    chosen = np.concatenate(
        [rng.choice(rows, n, replace=False) for rows, n in zip(classes, numbers, strict=True)]
    ).astype(int)
    # Shreds and galaxies are mixed.
    chosen = rng.permutation(chosen)
    pool = table[chosen]
    pool["label"] = Column(
        np.full(len(pool), "", dtype="U8"), description="galaxy, shred or other, by eye"
    )
    pool["sky_group"] = Column(
        _sky_groups(sky[chosen], to_value(group_radius, "group_radius", u.deg)),
        description="Group of neighbours on the sky, to be kept in one fold",
    )
    return pool


def check_pool_columns(table: Table) -> None:
    """Raise ValueError if a column of the table would be replaced by one of the pool's."""
    for name in POOL_COLUMNS:
        if name in table.colnames:
            raise ValueError(
                f"the table has a column {name!r}, which would be replaced by that of the pool: "
                "rename or remove it"
            )


def _class_numbers(n_sources: int, share: float, available: list[int]) -> tuple[int, int]:
    """Compute the numbers of shreds and galaxies to draw, fewer where a class is too small."""
    shares = (share, 1 - share)
    # The scarcer class limits the size of the pool.
    total = min(
        [n_sources] + [int(n / part) for n, part in zip(available, shares, strict=True) if part > 0]
    )
    n_shreds = min(round(total * share), available[0])
    n_galaxies = min(total - n_shreds, available[1])
    if total < n_sources:
        warnings.warn(
            f"the model classifies only {available[0]} sources as shreds and {available[1]} as "
            f"galaxies: the pool has {n_shreds + n_galaxies} sources instead of {n_sources}, to "
            f"keep {share:.0%} shreds",
            ShredfinderWarning,
            stacklevel=3,
        )
    return n_shreds, n_galaxies


def _sky_groups(sky: SkyCoord, degrees: float) -> np.ndarray:
    """Compute the number of each source's friends-of-friends group."""
    if not len(sky):
        return np.zeros(0, dtype=int)
    # Imported here, since scipy is slow to import.
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    tree = cKDTree(sky.cartesian.xyz.value.T)
    # An angle on the unit sphere as a chord, for distances in three dimensions.
    reach = 2 * np.sin(np.radians(degrees) / 2)
    linked = tree.sparse_distance_matrix(tree, reach, output_type="coo_matrix")
    # Chains of neighbours form one group, however long they are.
    return connected_components(linked, directed=False)[1]
