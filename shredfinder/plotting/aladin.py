"""Sources of a table on the sky, in Aladin Lite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from shredfinder._utils.columns import as_table
from shredfinder._utils.positions import get_positions
from shredfinder._utils.runtime import import_optional
from shredfinder._utils.units import to_floats
from shredfinder.plotting.style import UNSCORED_SHADE, get_shade

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["show_aladin"]

__doctest_requires__ = {"show_aladin": ["ipyaladin"]}

# Bins in p_cnn, each a catalogue with its own colour.
_N_BINS = 5
# Smallest field of view in degrees: the width of a cutout.
_MIN_FOV = 1 / 60


def show_aladin(
    table: Table,
    aladin: Any = None,
    *,
    position: tuple[str, str] | None = None,
    columns: Sequence[str] = (),
    score: str = "p_cnn",
    flag: str = "p_cnn_flag",
    **options: Any,
) -> Any:
    """Show the sources of a table in Aladin Lite, coloured by ``p_cnn``.

    Sources are shown in five bins of ``p_cnn``, each a catalogue of the widget, in the colours of
    `~shredfinder.plotting.make_thumbnails` (blue for galaxies, yellow for shreds). Unscored sources
    are grey. A click on a source shows its row.

    Parameters
    ----------
    table : `~astropy.table.Table`, `pandas.DataFrame` or structured array
        The sources, ``n`` rows.
    aladin : ipyaladin.Aladin, optional
        Widget to add the sources to; by default a new one, whose view holds all of them.
    position : str, tuple of str or `~astropy.coordinates.SkyCoord`, optional
        Positions of the sources (see `~shredfinder.table.get_positions`); by default found in the
        table. Rows without a position are not shown.
    columns : sequence of str, optional
        Further columns to show with a source, besides its position, score and flag.
    score, flag : str, optional
        Columns of the scores and flags. Without a score column all sources are unscored.
    **options
        Arguments of a new ``ipyaladin.Aladin``, such as ``survey`` and ``height``.

    Returns
    -------
    aladin : ipyaladin.Aladin
        The widget, which Jupyter displays as the last line of a cell.

    Raises
    ------
    MissingDependencyError
        If ipyaladin is not installed.
    ValueError
        If no position is found, or a column is missing.

    Notes
    -----
    The widget loads Aladin Lite and its images from CDS when a browser displays it. The data sent
    to it are tested without a network; the display itself is untested live.

    Examples
    --------
    >>> from shredfinder import ShredTable
    >>> from shredfinder.plotting import show_aladin
    >>> table = ShredTable({"ra": [143.04, 143.05], "dec": [21.50, 21.51], "p_cnn": [0.97, 0.02]})
    >>> aladin = show_aladin(table, survey="CDS/P/DESI-Legacy-Surveys/DR10/color")
    >>> aladin.overlays
    ['p_cnn 0.8 to 1.0', 'p_cnn 0.0 to 0.2']
    """
    package = import_optional("ipyaladin", "showing sources in Aladin Lite")
    table = as_table(table)
    coords = get_positions(table, position)
    missing = [name for name in columns if name not in table.colnames]
    if missing:
        raise ValueError(
            f"the table has no column {missing[0]!r}: choose from {', '.join(table.colnames)}"
        )
    sources = Table({"ra": coords.ra, "dec": coords.dec})
    for name in dict.fromkeys([score, flag, *columns]):
        if name in table.colnames and name not in sources.colnames:
            sources[name] = table[name]
    # Aladin Lite cannot place sources without a position.
    placed = np.isfinite(coords.ra.deg) & np.isfinite(coords.dec.deg)
    if aladin is None:
        aladin = package.Aladin(**(_get_view(coords[placed]) | options))
    for name, color, rows in _bin_scores(table, score):
        if (rows & placed).any():
            aladin.add_table(
                sources[rows & placed],
                shape="circle",
                name=name,
                color=color,
                source_size=12,
                on_click="showTable",
            )
    return aladin


def _bin_scores(table: Table, score: str) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield the name, colour and rows of each catalogue, by falling score."""
    values = np.full(len(table), np.nan)
    if score in table.colnames:
        values = to_floats(table[score], score)
    known = np.isfinite(values)
    place = np.full(len(table), -1)
    # A score of 1 belongs to the last bin.
    place[known] = np.clip(values[known] * _N_BINS, 0, _N_BINS - 1).astype(int)
    for i in reversed(range(_N_BINS)):
        low, high = i / _N_BINS, (i + 1) / _N_BINS
        # The outer bins have the outer colours, blue and yellow.
        yield f"{score} {low:.1f} to {high:.1f}", get_shade(i / (_N_BINS - 1)), place == i
    yield "unscored", UNSCORED_SHADE, ~known


def _get_view(coords: SkyCoord) -> dict[str, Any]:
    """Return the centre and field of view that hold all positions."""
    if not len(coords):
        return {}
    # The mean of unit vectors works across RA = 0 and at the poles.
    mean = coords.cartesian.mean()
    center = SkyCoord(mean.x, mean.y, mean.z, representation_type="cartesian")
    # Without the mean vector's length, which is below one.
    center = SkyCoord(center.spherical.lon, center.spherical.lat)
    reach = coords.separation(center).max().to_value(u.deg)
    return {"target": center, "fov": float(np.clip(2.4 * reach, _MIN_FOV, 180))}
