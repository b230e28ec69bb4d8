"""Hosts from any catalogue with positions and redshifts or distances."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.table import Column, Table

from shredfinder._utils.columns import find_column
from shredfinder._utils.files import check_extensions, list_extensions, reading_errors
from shredfinder._utils.units import to_floats
from shredfinder.hosts.nsa import read_nsa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shredfinder._utils.types import PathLike

__all__ = ["open_hosts", "read_hosts"]

# Names that catalogues of hosts give to what is needed, in lower case, the best first.
_KNOWN = {
    "host_id": ("host_id", "nsaid", "name", "id", "objid", "pgc"),
    "ra": ("ra", "raj2000", "ra_icrs", "_ra"),
    "dec": ("dec", "dej2000", "decj2000", "de_icrs", "dec_icrs", "_de"),
    "redshift": ("zdist", "z", "redshift", "zhelio"),
    "distance": ("distance", "dist"),
}
_SHAPES = ("petro_th50", "petro_th90", "petro_ba90", "petro_phi90", "r_mag")


def read_hosts(
    source: Table | PathLike,
    *,
    host_id: str | None = None,
    ra: str = "ra",
    dec: str = "dec",
    redshift: str | None = None,
    distance: str | None = None,
    extra: Sequence[str] = (),
    format: str | None = None,
) -> Table:
    """Read hosts from a table or a file, in the form that the other functions take.

    Parameters
    ----------
    source : `~astropy.table.Table`, str or path-like
        A table, or a file that `astropy.table.Table.read` reads.
    host_id : str, optional
        Name of the column that names the hosts. Without it they are numbered by row, from 0.
    ra, dec : str, optional
        Names of the columns of ICRS coordinates, in degrees unless they have another unit. Upper
        and lower case are the same in all names.
    redshift : str, optional
        Name of a column of redshifts, best corrected for peculiar motion.
    distance : str, optional
        Name of a column of distances, in Mpc unless it has another unit. They are taken to be
        angular-diameter distances, which near galaxies' distances are within about 2 z. One of
        ``redshift`` and ``distance`` is needed; with both, the redshift stands in where there is no
        distance.
    extra : sequence of str, optional
        Names of further columns to keep, such as ``petro_th90``.
    format : str, optional
        The file's format, for `astropy.table.Table.read`.

    Returns
    -------
    hosts : `~astropy.table.Table`
        With the columns ``host_id``, ``ra``, ``dec`` and ``zdist`` or ``distance`` or both, then
        those of ``extra`` in lower case; as many rows as ``source``, in its order. NaN stands for
        masked numbers.

    Raises
    ------
    TypeError
        If neither ``redshift`` nor ``distance`` is given, or a column holds no numbers.
    KeyError
        If a column is missing.
    astropy.units.UnitsError
        If a column has a unit of the wrong kind.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.hosts import read_hosts
    >>> table = Table({"Name": ["NGC 2903"], "RAJ2000": [143.0421], "DEJ2000": [21.5008],
    ...                "D": [9.0]})
    >>> hosts = read_hosts(table, host_id="name", ra="raj2000", dec="dej2000", distance="D")
    >>> hosts.colnames, hosts["distance"].unit
    (['host_id', 'ra', 'dec', 'distance'], Unit("Mpc"))
    """
    if redshift is None and distance is None:
        raise TypeError(
            "hosts need distances: name their column with redshift= or distance=: got neither"
        )
    if isinstance(source, Table):
        table = source
    else:
        with reading_errors(source, "the hosts"):
            check_extensions(source)
            table = Table.read(source, format=format)
    hosts = Table()
    if host_id is None:
        hosts["host_id"] = np.arange(len(table))
    else:
        hosts["host_id"] = np.asarray(table[find_column(table, host_id)])
    for name, column, unit in (
        ("ra", ra, u.deg),
        ("dec", dec, u.deg),
        ("zdist", redshift, None),
        ("distance", distance, u.Mpc),
    ):
        if column is not None:
            found = find_column(table, column)
            values = to_floats(table[found], found, unit or u.dimensionless_unscaled)
            hosts[name] = Column(values, unit=unit)
    for name in extra:
        hosts[name.lower()] = table[find_column(table, name)]
    return hosts


def open_hosts(source: Table | PathLike, **columns: Any) -> Table:
    """Read hosts from the NASA-Sloan Atlas or another catalogue, by common column names.

    Parameters
    ----------
    source : `~astropy.table.Table`, str or path-like
        The file ``nsa_v1_0_1.fits``; or a table, or a file that astropy reads, whose columns have
        common names: ``host_id``, ``nsaid``, ``name`` or ``id``; ``ra`` and ``dec`` or
        ``RAJ2000`` and ``DEJ2000``; ``zdist``, ``z`` or ``redshift``; ``distance`` or ``dist``.
        Upper and lower case are the same.
    **columns
        Names of the columns, as `read_hosts` takes them, where they are others.

    Returns
    -------
    hosts : `~astropy.table.Table`
        As `read_nsa` or `read_hosts` returns them.

    Raises
    ------
    FileNotFoundError
        If the file is not there.
    KeyError
        If there is no position, redshift or distance among the columns.
    ValueError
        If it is no table that astropy reads.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.hosts import open_hosts
    >>> open_hosts(Table({"NAME": ["A"], "RA": [10.0], "DEC": [0.0], "Z": [0.01]})).colnames
    ['host_id', 'ra', 'dec', 'zdist']
    """
    if isinstance(source, Table):
        return _take_hosts(source, columns)
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"there is no file of hosts {str(path)!r}")
    with reading_errors(path, "the hosts", has_columns=True):
        if _is_nsa(path):
            return read_nsa(path)
        return _take_hosts(Table.read(path), columns)


def _take_hosts(table, columns):
    """Find the columns of hosts by the names that they usually have, and read them."""
    by_lower = {name.lower(): name for name in table.colnames}
    for role, names in _KNOWN.items():
        known = next((by_lower[name] for name in names if name in by_lower), None)
        if role not in columns and known is not None:
            columns[role] = known
    missing = [name for name in ("ra", "dec") if name not in columns]
    if not {"redshift", "distance"} & set(columns):
        missing.append("zdist, z or distance")
    if missing:
        raise KeyError(
            f"the hosts lack columns {' and '.join(missing)}: they have "
            f"{', '.join(table.colnames) or 'none'}; rename some, or use read_hosts"
        )
    columns.setdefault("extra", [name for name in _SHAPES if name in by_lower])
    return read_hosts(table, **columns)


def _is_nsa(path):
    from astropy.io import fits

    try:
        with fits.open(path, memmap=True) as hdus:
            tables = [hdu for hdu in list_extensions(hdus) if isinstance(hdu, fits.BinTableHDU)]
            names = tables[0].columns.names if tables else []
    except OSError:
        return False
    return {"NSAID", "ELPETRO_FLUX"} <= set(names)
