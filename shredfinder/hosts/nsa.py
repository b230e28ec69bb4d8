"""The NASA-Sloan Atlas: spectroscopically confirmed galaxies, mostly at z < 0.15."""

from __future__ import annotations

import math
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import Column, Table

from shredfinder._utils.columns import find_column
from shredfinder._utils.files import list_extensions, reading_errors
from shredfinder.config import conf
from shredfinder.exceptions import ServiceError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shredfinder._utils.validation import PathLike

__all__ = ["read_nsa"]

# Names in the file of what is read: the data model of ``nsa_v1_0_1.fits``.
_COLUMNS = {
    "host_id": "NSAID",
    "ra": "RA",
    "dec": "DEC",
    "z": "Z",
    "zdist": "ZDIST",
    "petro_th50": "PETRO_TH50",
    "petro_th90": "PETRO_TH90",
    "petro_ba90": "PETRO_BA90",
    "petro_phi90": "PETRO_PHI90",
    "elpetro_flux": "ELPETRO_FLUX",
    "elpetro_absmag": "ELPETRO_ABSMAG",
    "extinction": "EXTINCTION",
}
# The atlas orders its bands F, N, u, g, r, i, z (GALEX far and near ultraviolet, then SDSS).
_R_BAND = 4

_BASIC = ("host_id", "ra", "dec", "z", "zdist")
# Optional columns, with unit and description.
_EXTRA = {
    "petro_th50": (u.arcsec, "Petrosian half-light radius in r"),
    "petro_th90": (u.arcsec, "Petrosian 90 % light radius in r"),
    "petro_ba90": (None, "Axis ratio b/a at the 90 % light radius"),
    "petro_phi90": (u.deg, "Position angle, east of north, at the 90 % light radius"),
    "r_mag": (u.mag, "Elliptical Petrosian r magnitude, corrected for extinction"),
    "r_absmag": (u.mag, "Elliptical Petrosian r absolute magnitude, K-corrected, for h = 1"),
}
_BASIC_META = {
    "host_id": (None, "NSAID of the NASA-Sloan Atlas"),
    "ra": (u.deg, "Right ascension (J2000)"),
    "dec": (u.deg, "Declination (J2000)"),
    "z": (None, "Heliocentric redshift"),
    "zdist": (None, "Hubble-law distance as a redshift, times H0 / c, peculiar motion removed"),
}


def read_nsa(
    path: PathLike | None = None,
    *,
    z_max: float = 0.15,
    columns: Sequence[str] = tuple(_EXTRA),
    url: str | None = None,
    cache: bool = True,
    progress: bool = True,
) -> Table:
    """Read the NASA-Sloan Atlas, v1.0.1, as a table of hosts.

    Parameters
    ----------
    path : str or path-like, optional
        The file ``nsa_v1_0_1.fits``. By default the file, of several gigabytes, is downloaded
        once into astropy's cache.
    z_max : float, optional
        Read only galaxies with redshift Z below this. None reads all.
    columns : sequence of str, optional
        Optional columns, in addition to ``host_id``, ``ra``, ``dec``, ``z`` and ``zdist``: any
        of ``petro_th50``, ``petro_th90``, ``petro_ba90``, ``petro_phi90``, ``r_mag`` and
        ``r_absmag``; by default all.
    url : str, optional
        URL of the file; ``shredfinder.conf.nsa_url`` by default.
    cache : bool, optional
        Whether to use and keep a copy in astropy's cache.
    progress : bool, optional
        Whether to show the progress of the download on a terminal.

    Returns
    -------
    hosts : `~astropy.table.Table`
        One row per galaxy, in the file's order, with units and descriptions.

    Raises
    ------
    OSError
        If the file does not exist, or is not a FITS file.
    shredfinder.exceptions.ServiceError
        If it cannot be downloaded.
    KeyError
        If the file lacks a column.
    ValueError
        If ``columns`` names an unknown column, or the file has no table.

    Notes
    -----
    Only the requested columns are read, from a memory map. The column names are those of the
    data model of NSA v1.0.1 (Blanton et al. 2011, AJ 142, 31; SDSS DR17). ``r_mag`` is
    22.5 - 2.5 log10(ELPETRO_FLUX) - EXTINCTION, and NaN where the flux is not positive.

    ``zdist`` is a distance written as a redshift, d = c ZDIST / H0, from a model of peculiar
    motion. `host_distances` uses it as a redshift by default; the resulting angular-diameter
    distance is smaller than c ZDIST / H0, by a factor of 1.13 at 0.1. ``distance="hubble"`` there
    and in `match_hosts` selects the atlas's own distance.

    Examples
    --------
    >>> from shredfinder.hosts import read_nsa
    >>> hosts = read_nsa(columns=["petro_th90"])
    >>> hosts.colnames
    ['host_id', 'ra', 'dec', 'z', 'zdist', 'petro_th90']
    """
    unknown = [name for name in columns if name not in _EXTRA]
    if unknown:
        raise ValueError(
            f"columns must be among {', '.join(_EXTRA)}: got {', '.join(map(repr, unknown))}"
        )
    source: PathLike
    if path is None:
        source = _download(url or conf.nsa_url, cache=cache, progress=progress)
    else:
        source = path
    try:
        hdus = fits.open(source, memmap=True)
    except FileNotFoundError:
        raise
    except OSError as error:
        # A page about an error may have been saved in place of the file.
        hint = (
            f"the download from {url or conf.nsa_url} is not a FITS file; delete it with "
            "astropy.utils.data.clear_download_cache and retry"
            if path is None
            else f"{path} is not a FITS file"
        )
        raise OSError(f"cannot read the NASA-Sloan Atlas: {hint} ({error})") from error
    with hdus, reading_errors(source, "the NASA-Sloan Atlas", has_columns=True):
        data = _first_table(hdus, source)
        return _to_hosts(data, columns, z_max)


def _download(url, *, cache, progress):
    """Download the file into astropy's cache; return its path there."""
    from astropy.utils.data import download_file

    from shredfinder._net.exchanges import END, call_until

    download = partial(download_file, url, cache=cache, show_progress=progress)
    try:
        # Without a limit Ctrl-C must reach the download itself, which then removes its own file.
        if END.get() == math.inf:
            return download()
        return call_until(download, END.get(), threading.Event())
    except OSError as error:
        if isinstance(error, TimeoutError) and END.get() <= time.monotonic():
            raise StoppedError(
                f"the time limit was reached before {url} was downloaded: download it without a "
                "limit, or give the file as hosts="
            ) from error
        # urllib wraps the reason, without the name of the host.
        reason = getattr(error, "reason", None) or error
        raise ServiceError(
            f"cannot download the NASA-Sloan Atlas from {url}: "
            f"{getattr(reason, 'strerror', None) or reason} (check the address and the network "
            "connection, or download the file otherwise and give its name)",
            status=getattr(error, "code", None),
        ) from error


def _first_table(hdus, source):
    for hdu in list_extensions(hdus):
        if isinstance(hdu, fits.BinTableHDU):
            return hdu.data
    raise ValueError(f"{source} has no table: expected the NASA-Sloan Atlas's binary table")


def _to_hosts(data, columns, z_max):
    # Select rows before reading the other columns: most of the file is not needed.
    redshift = _column(data, "z", slice(None))
    with np.errstate(invalid="ignore"):
        # NaN redshifts fail the comparison, so they are left out.
        rows = np.flatnonzero(redshift < z_max) if z_max is not None else np.arange(len(redshift))
    hosts = Table()
    for name in (*_BASIC, *columns):
        unit, description = {**_BASIC_META, **_EXTRA}[name]
        if name == "r_mag":
            values = _r_magnitudes(data, rows)
        elif name == "r_absmag":
            values = _column(data, "elpetro_absmag", rows)
        else:
            values = _column(data, name, rows)
        hosts[name] = Column(values, unit=unit, description=description)
    hosts.meta["catalog"] = "NASA-Sloan Atlas"
    return hosts


def _column(data, role, rows):
    """Copy one column (its r band, if it has several) in native byte order."""
    values = data[find_column(data, _COLUMNS[role])]
    if values.ndim == 2:
        values = values[:, _R_BAND]
    # A copy, so that no memory map stays open behind the table.
    values = np.array(values[rows])
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _r_magnitudes(data, rows):
    flux = _column(data, "elpetro_flux", rows).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        mag = 22.5 - 2.5 * np.log10(flux) - _column(data, "extinction", rows)
    return np.where(flux > 0, mag, np.nan).astype(np.float32)
