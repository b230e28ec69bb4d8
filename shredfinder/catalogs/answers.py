"""Answers of services, made plain."""

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.table import Column, MaskedColumn, Table

from shredfinder._utils.units import to_strings

__all__ = ["Answer", "normalize"]


@dataclass
class Answer:
    """What a service sent.

    Attributes
    ----------
    table : `~astropy.table.Table`
        The rows.
    complete : bool
        False if the service said that there are more.
    """

    table: Table
    complete: bool


def normalize(table):
    """Make columns plain: strings for objects, NaN for masked floats, known units or none.

    Parameters
    ----------
    table : `~astropy.table.Table`
        A table as pyvo or astropy reads it.

    Returns
    -------
    table : `~astropy.table.Table`
        Another table, with the columns' UCDs and descriptions.
    """
    plain = Table()
    for name in table.colnames:
        column = table[name]
        values = column.data
        if values.dtype.kind in "OS":
            values = to_strings(values, name)
        elif values.dtype.kind == "f":
            values = np.ma.filled(values, np.nan)
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
        unit = column.unit
        # A unit that astropy does not know says nothing that the survey's documentation does not.
        if isinstance(unit, u.UnrecognizedUnit):
            unit = None
        meta = {"ucd": column.meta["ucd"]} if column.meta.get("ucd") else {}
        kind = MaskedColumn if np.ma.is_masked(values) else Column
        if kind is Column:
            values = np.ma.getdata(values)
        plain[name] = kind(values, unit=unit, description=column.description, meta=meta)
    return plain
