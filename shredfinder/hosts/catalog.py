"""Hosts from any catalogue with positions and redshifts or distances."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.io import registry
from astropy.table import Column, MaskedColumn, Table

from shredfinder._utils.columns import as_table, find_column
from shredfinder._utils.files import list_extensions, reading_errors
from shredfinder._utils.positions import get_degrees
from shredfinder._utils.table_files import check_input, identify_file, read_table
from shredfinder._utils.units import split_mask, to_floats
from shredfinder.hosts.nsa import read_nsa

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from shredfinder._utils.validation import PathLike

__all__ = ["read_hosts"]

# Common column names in catalogues of galaxies, in lower case and in order of preference.
# ZDIST, corrected for peculiar motion, gives better distances than Z.
_HOST_ID = ("host_id", "nsaid", "name", "id", "objid", "pgc")
_REDSHIFT = ("zdist", "z", "redshift", "zhelio")
_DISTANCE = ("distance", "dist")
_SHAPES = ("petro_th50", "petro_th90", "petro_ba90", "petro_phi90", "r_mag")


def read_hosts(
    source: Table | pd.DataFrame | PathLike,
    *,
    host_id: str | None = None,
    position: str | tuple[str, str] | None = None,
    redshift: str | None = None,
    distance: str | None = None,
    extra: Sequence[str] | None = None,
    format: str | None = None,
) -> Table:
    """Read a catalogue of hosts from a table or a file.

    Parameters
    ----------
    source : `~astropy.table.Table`, `pandas.DataFrame`, str or path-like
        A table, a file as for `~shredfinder.table.read_catalogue`, or the NASA-Sloan Atlas's
        ``nsa_v1_0_1.fits``, which `read_nsa` reads.
    host_id : str, optional
        Name of the column of the hosts' names. By default ``host_id``, ``nsaid``, ``name``,
        ``id``, ``objid`` or ``pgc``, else the row number, from 0. Case is ignored in all names.
    position : str or tuple of str, optional
        Names of the position columns, as for `~shredfinder.table.get_positions`, which finds
        common names by itself.
    redshift : str, optional
        Name of a column of redshifts, preferably corrected for peculiar motion. By default,
        without ``distance``: ``zdist``, ``z``, ``redshift`` or ``zhelio``.
    distance : str, optional
        Name of a column of distances, in Mpc unless it has another unit. By default, without
        ``redshift``: ``distance`` or ``dist``. Distances are used as angular-diameter distances;
        for nearby galaxies other kinds of distance differ from these by a fraction of about 2 z.
        Where the distance is missing, the redshift is used.
    extra : sequence of str, optional
        Names of further columns to keep; by default those of the hosts' ellipses, such as
        ``petro_th90``, and ``r_mag``.
    format : str, optional
        The file's format, for `astropy.table.Table.read`; by default recognised by content or
        extension.

    Returns
    -------
    hosts : `~astropy.table.Table`
        The columns ``host_id``, ``ra``, ``dec``, ``zdist`` or ``distance`` or both, and
        ``extra`` in lower case; one row per row of ``source``, in its order. Masked numbers and
        invalid positions are NaN, masked names stay masked.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    KeyError
        If a column is missing, or no column of redshifts or distances is found.
    ValueError
        If no position is found, or the file cannot be read.
    TypeError
        If a column does not hold numbers.
    astropy.units.UnitsError
        If a column has a unit of the wrong kind.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.hosts import read_hosts
    >>> table = Table({"Name": ["NGC 2903"], "RAJ2000": [143.0421], "DEJ2000": [21.5008],
    ...                "D": [9.0]})
    >>> hosts = read_hosts(table, distance="D")
    >>> hosts.colnames, hosts["distance"].unit
    (['host_id', 'ra', 'dec', 'distance'], Unit("Mpc"))
    """
    if isinstance(source, (str, Path)) or hasattr(source, "__fspath__"):
        path = check_input(source, "the file of hosts")
        with reading_errors(path, "the hosts", has_columns=True):
            # Columns named by the user are read as they are, even from the atlas.
            if _is_nsa(path) and not (host_id or position or redshift or distance or extra):
                return read_nsa(path)
            table: Table = read_table(path, what="the hosts", file_format=format)
    else:
        table = as_table(source, "the hosts")
    if redshift is None and distance is None:
        # Both are kept: host_distances prefers the distance, and uses the redshift where it is
        # missing.
        redshift, distance = _find(table, _REDSHIFT), _find(table, _DISTANCE)
        if redshift is None and distance is None:
            raise KeyError(
                "no column zdist, z or distance was found among the hosts' columns "
                f"{', '.join(table.colnames) or '(none)'}: rename one, or choose one by the "
                "arguments redshift and distance"
            )
    host_id = _find(table, _HOST_ID) if host_id is None else find_column(table, host_id)
    if extra is None:
        extra = [name for name in _SHAPES if find_column(table, name, required=False)]

    ra, dec = get_degrees(table, position, name="the hosts")
    hosts = Table()
    names, mask = split_mask(np.arange(len(table)) if host_id is None else table[host_id])
    hosts["host_id"] = np.asarray(names) if mask is None else MaskedColumn(names, mask=mask)
    hosts["ra"], hosts["dec"] = Column(ra, unit=u.deg), Column(dec, unit=u.deg)
    for name, column, unit in (("zdist", redshift, None), ("distance", distance, u.Mpc)):
        if column is not None:
            found = find_column(table, column)
            values = to_floats(table[found], found, unit or u.dimensionless_unscaled)
            hosts[name] = Column(values, unit=unit)
    for name in extra:
        hosts[name.lower()] = table[find_column(table, name)]
    return hosts


def _find(table: Table, names: Sequence[str]) -> str | None:
    """Return the table's spelling of the first of several column names that it has."""
    by_lower = {name.lower(): name for name in table.colnames}
    return next((by_lower[name] for name in names if name in by_lower), None)


def _is_nsa(path):
    from astropy.io import fits

    try:
        if identify_file(path) != "fits":
            return False
    except registry.IORegistryError:  # read_table explains it
        return False
    with fits.open(path, memmap=True) as hdus:
        tables = [hdu for hdu in list_extensions(hdus) if isinstance(hdu, fits.BinTableHDU)]
        names = tables[0].columns.names if tables else []
    return {"NSAID", "ELPETRO_FLUX"} <= set(names)
