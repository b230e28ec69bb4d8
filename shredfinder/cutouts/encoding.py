"""Images as files, without loss."""

import io

import numpy as np

__all__ = ["encode_image"]


def encode_image(image, request, bands):
    """Encode an image as a file that `shredfinder.cutouts.decoding` reads back unchanged.

    Parameters
    ----------
    image : `~numpy.ndarray`
        Image of shape ``(height, width, bands)``, north up; uint8 colours, or fluxes.
    request : CutoutRequest
        Where it lies on the sky.
    bands : sequence of str
        Bands of its channels.

    Returns
    -------
    content : bytes
        A PNG file of colours, a FITS file of anything else.
    suffix : str
        File-name suffix.
    """
    buffer = io.BytesIO()
    if image.dtype == np.uint8 and image.shape[2] == 3:
        from PIL import Image

        # Compression beyond the lowest level costs much time and gains little on noise.
        Image.fromarray(image).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue(), ".png"
    from astropy.io import fits

    hdu = fits.PrimaryHDU(np.moveaxis(image, -1, 0)[:, ::-1].astype(np.float32))
    header = hdu.header
    header["BANDS"] = "".join(bands)
    for axis, kind, center, n, sign in (
        (1, "RA---TAN", request.ra, request.width, -1),
        (2, "DEC--TAN", request.dec, request.height, 1),
    ):
        header[f"CTYPE{axis}"], header[f"CUNIT{axis}"] = kind, "deg"
        header[f"CRVAL{axis}"], header[f"CRPIX{axis}"] = center, (n + 1) / 2
        header[f"CDELT{axis}"] = sign * request.pixel_scale / 3600
    hdu.writeto(buffer)
    return buffer.getvalue(), ".fits"
