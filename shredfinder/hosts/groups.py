"""Groups of rows that are one galaxy each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.columns import as_table, find_column
from shredfinder._utils.positions import get_degrees
from shredfinder.hosts.fluxes import read_light
from shredfinder.hosts.sphere import unit_vectors

if TYPE_CHECKING:
    from astropy.table import Table

    from shredfinder.hosts.fluxes import Bands

__all__ = ["Groups", "check_parents", "find_centers", "make_groups", "read_weights"]


@dataclass(frozen=True)
class Groups:
    """Groups of rows.

    Attributes
    ----------
    main : `~numpy.ndarray` of int, of shape (n_groups,)
        Main row of each group, ascending.
    number : `~numpy.ndarray` of int, of shape (n,)
        Group of each row.
    size : `~numpy.ndarray` of int, of shape (n_groups,)
        Number of rows of each group.
    """

    main: np.ndarray
    number: np.ndarray
    size: np.ndarray

    def add(self, values: np.ndarray) -> np.ndarray:
        """Add up values of shape (n,) within each group."""
        # Without any rows, bincount returns integers.
        return np.bincount(self.number, values, self.main.size).astype(float)


def check_parents(parents: Table, identifiers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return kinds and indices of parents, of shape (n,), after checks that they fit the table.

    Raises
    ------
    ValueError
        If they belong to another table, or contradict each other.
    TypeError
        If they are no table.
    """
    parents = as_table(parents, "parents")
    kind = np.asarray(parents[find_column(parents, "parent_kind")]).astype(str)
    index = np.asarray(parents[find_column(parents, "parent_index")])
    own = np.asarray(parents[find_column(parents, "id")])
    if len(parents) != identifiers.size or not np.array_equal(
        own.astype(str), identifiers.astype(str)
    ):
        raise ValueError(
            f"parents of {len(parents)} rows do not belong to the table of {identifiers.size} "
            "rows: pass the result of find_parents for this table, with rows in the same order"
        )
    unknown = sorted({*kind.tolist()} - {"self", "row", "host", "orphan"})
    if unknown:
        raise ValueError(
            f"parent_kind must be self, row, host or orphan, not {', '.join(map(repr, unknown))}"
        )
    in_table = kind != "host"
    if np.any(index < 0) or np.any(index[in_table] >= identifiers.size):
        raise ValueError("parent_index must be a row of the table, or of the hosts for host")
    rows = np.flatnonzero((kind == "row") | (kind == "orphan"))
    parent = index[rows]
    # The parent of a piece is a galaxy, and that of an orphan the orphan that stands for all.
    right = np.where(
        kind[rows] == "row",
        kind[parent] == "self",
        (kind[parent] == "orphan") & (index[parent] == parent),
    )
    if not right.all():
        row = rows[~right][0]
        raise ValueError(
            f"row {row} is of the kind '{kind[row]}', but its parent, row {index[row]}, is not the "
            "main row of such a galaxy: correct parent_kind and parent_index"
        )
    return kind, index


def read_weights(table: Table, bands: Bands) -> np.ndarray:
    """Return each row's light in the reference band, 0 where it is missing or negative."""
    return np.maximum(np.nan_to_num(read_light(table, bands, bands.reference), nan=0.0), 0.0)


def make_groups(kind: np.ndarray, index: np.ndarray, weight: np.ndarray) -> Groups:
    """Group the rows of each galaxy; the main row is the galaxy, or the brightest piece."""
    n = kind.size
    main = np.where(kind == "self", np.arange(n), index)
    host = np.flatnonzero(kind == "host")
    if host.size:
        # The host is in another table: its brightest piece stands for it.
        order = host[np.lexsort((host, -weight[host], index[host]))]
        first = np.r_[True, np.diff(index[order]) != 0]
        main[order] = order[first][np.cumsum(first) - 1]
    mains, number = np.unique(main, return_inverse=True)
    return Groups(mains, number, np.bincount(number, minlength=mains.size))


def find_centers(
    ra: np.ndarray,
    dec: np.ndarray,
    weight: np.ndarray,
    groups: Groups,
    kind: np.ndarray,
    index: np.ndarray,
    hosts: Table | None = None,
) -> np.ndarray:
    """Return the centres of all groups in degrees, of shape (2, n_groups).

    They are the light-weighted means of the entries, or the positions of the hosts of groups of
    the kind ``host``.
    """
    points = np.nan_to_num(unit_vectors(ra, dec))
    # Without any light, all entries count alike.
    light = groups.add(weight)
    weight = np.where(light[groups.number] > 0, weight, 1.0)
    x, y, z = (groups.add(weight * values) for values in points.T)
    centers = np.array(
        [np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))]
    )
    unplaced = ~np.isfinite(ra[groups.main])
    centers[:, unplaced] = np.nan
    if hosts is not None:
        host_ra, host_dec = get_degrees(hosts, name="hosts")
        at_host = np.flatnonzero(kind[groups.main] == "host")
        row = index[groups.main[at_host]]
        centers[:, at_host] = host_ra[row], host_dec[row]
    return centers
