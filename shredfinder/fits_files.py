"""FITS files of unknown origin."""

import contextlib

__all__ = ["check_extensions", "list_extensions"]


def list_extensions(hdus):
    """List the parts of a FITS file, and refuse one whose headers lead in a circle.

    A header may claim data of a negative size. Astropy then looks for the next header before
    that one, finds this one again, and never comes to the end of its list.

    Parameters
    ----------
    hdus : `~astropy.io.fits.HDUList`
        The file, as it was opened.

    Returns
    -------
    parts : list
        The primary HDU and the extensions, all of which have been found.

    Raises
    ------
    ValueError
        If a header does not lie behind the one before it.

    Examples
    --------
    >>> import io
    >>> from astropy.io import fits
    >>> from shredfinder.fits_files import list_extensions
    >>> file = io.BytesIO(fits.PrimaryHDU().header.tostring().encode())
    >>> with fits.open(file) as hdus:
    ...     [type(part).__name__ for part in list_extensions(hdus)]
    ['PrimaryHDU']
    """
    parts, last = [], -1
    for hdu in hdus:
        place = hdu.fileinfo()["hdrLoc"]
        if place <= last:
            raise ValueError(
                f"it is damaged: after the header at byte {last} comes that at {place}"
            )
        parts.append(hdu)
        last = place
    return parts


def check_extensions(path):
    """Make sure that a file, if it is a FITS file, can be read to its end.

    Parameters
    ----------
    path : path-like
        A file of any type.

    Raises
    ------
    ValueError
        If its headers lead in a circle; see `list_extensions`.

    Examples
    --------
    >>> from shredfinder.fits_files import check_extensions
    >>> check_extensions("table.csv")  # FITS files are told by their name
    """
    from astropy.io import fits

    if any(part in str(path).lower() for part in (".fit", ".fts")):
        with contextlib.suppress(OSError), fits.open(path, memmap=True) as hdus:
            list_extensions(hdus)
