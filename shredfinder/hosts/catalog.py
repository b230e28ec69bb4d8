"""Hosts from any catalogue with positions and redshifts or distances."""

import numpy as np
from astropy import units as u
from astropy.table import Column, Table

from shredfinder._units import to_floats
from shredfinder.columns import find_column

__all__ = ["read_hosts"]


def read_hosts(
    source,
    *,
    host_id=None,
    ra="ra",
    dec="dec",
    redshift=None,
    distance=None,
    extra=(),
    format=None,
):
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
        `redshift` and `distance` is needed; with both, the redshift stands in where there is no
        distance.
    extra : sequence of str, optional
        Names of further columns to keep, such as ``petro_th90``.
    format : str, optional
        The file's format, for `astropy.table.Table.read`.

    Returns
    -------
    hosts : `~astropy.table.Table`
        With the columns ``host_id``, ``ra``, ``dec`` and ``zdist`` or ``distance`` or both, then
        those of `extra` in lower case; as many rows as `source`, in its order. NaN stands for
        masked numbers.

    Raises
    ------
    TypeError
        If neither `redshift` nor `distance` is given, or a column holds no numbers.
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
    table = source if isinstance(source, Table) else Table.read(source, format=format)
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
