"""What each service answers, by its real paths and parameter names."""

import io

import numpy as np
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.io.votable.tree import Info
from astropy.table import Table
from PIL import Image

from tests.cutouts.loopback.sky import SOUTHERN_LIMIT, render_colors, render_fluxes

_JPEG, _PNG, _FITS, _TEXT = "image/jpeg", "image/png", "image/fits", "text/plain"
_VIEWER_LAYERS = ("ls-dr9", "ls-dr9-south", "ls-dr10", "ls-dr10-grz")
_VIEWER_LIMIT = 3000
_HIPS = (
    "CDS/P/DESI-Legacy-Surveys/DR10/color",
    "CDS/P/PanSTARRS/DR1/color-i-r-g",
    "CDS/P/PanSTARRS/DR1/g",
    "CDS/P/PanSTARRS/DR1/r",
)
_SDSS_LIMITS = (64, 2048)


def answer(path, params, fault, url):
    """Status, body and content type of a request."""
    handler = _HANDLERS.get(path)
    if handler is None:
        return 404, b"no such page", _TEXT
    try:
        return handler(params, fault, url) if handler is _sia else handler(params, fault)
    except (KeyError, ValueError) as error:
        return 400, f"bad parameters: {error}".encode(), _TEXT


def _jpeg(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def _render(ra, dec, width, height, scale, fault):
    if fault == "blank":
        return np.full((height, width, 3), 32, np.uint8)
    if fault == "wrong size":
        width, height = width + 7, height + 7
    if fault == "clipped":
        width, height = width // 2, height // 2
    return render_colors(ra, dec, width, height, scale)


def _viewer(params):
    scale = float(params.get("pixscale", 0.262))
    size = min(int(params.get("size", 256)), _VIEWER_LIMIT)
    width = min(int(params.get("width", size)), _VIEWER_LIMIT)
    height = min(int(params.get("height", size)), _VIEWER_LIMIT)
    return float(params["ra"]), float(params["dec"]), width, height, scale


def _viewer_jpeg(params, fault):
    if params.get("layer") not in _VIEWER_LAYERS:
        return 200, b"no such layer", "text/html; charset=utf-8"
    return 200, _jpeg(_render(*_viewer(params), fault)), _JPEG


def _viewer_fits(params, fault):
    if params.get("layer") not in _VIEWER_LAYERS:
        return 200, b"no such layer", "text/html; charset=utf-8"
    ra, dec, width, height, scale = _viewer(params)
    bands = params.get("bands", "grz")
    fluxes = render_fluxes(ra, dec, width, height, scale, len(bands))
    return 200, _fits(fluxes, ra, dec, scale), _FITS


def _fits(fluxes, ra, dec, scale):
    height, width, _ = fluxes.shape
    hdu = fits.PrimaryHDU(np.moveaxis(fluxes, -1, 0)[:, ::-1].astype(">f4").squeeze())
    hdu.header.update(
        CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=ra, CRVAL2=dec, CRPIX1=(width + 1) / 2,
        CRPIX2=(height + 1) / 2, CDELT1=-scale / 3600, CDELT2=scale / 3600,
    )  # fmt: skip
    buffer = io.BytesIO()
    hdu.writeto(buffer)
    return buffer.getvalue()


def _hips2fits(params, fault):
    if params["hips"] not in _HIPS:
        return 400, b'{"title": "HiPS not found"}', "application/json"
    width, height = int(params["width"]), int(params["height"])
    if params["projection"] != "TAN" or params["coordsys"] != "icrs":
        raise ValueError("projection or coordsys")
    # The field of view is that of the larger side.
    scale = float(params["fov"]) * 3600 / max(width, height)
    image = _render(float(params["ra"]), float(params["dec"]), width, height, scale, fault)
    if params["format"] == "jpg":
        return 200, _jpeg(image), _JPEG
    if params["format"] == "fits":
        ra, dec = float(params["ra"]), float(params["dec"])
        fluxes = render_fluxes(ra, dec, width, height, scale, 2)
        # One band of the sky for each of the HiPS.
        band = "gr".index(params["hips"][-1])
        return 200, _fits(fluxes[..., band : band + 1], ra, dec, scale), _FITS
    raise ValueError("format")


def _sdss(params, fault):
    width, height = int(params["width"]), int(params["height"])
    lowest, highest = _SDSS_LIMITS
    width, height = min(max(width, lowest), highest), min(max(height, lowest), highest)
    scale = float(params["scale"])
    if float(params["dec"]) < SOUTHERN_LIMIT:
        return 404, b"Requested (ra, dec) is outside the SDSS footprint.", _TEXT
    image = _render(float(params["ra"]), float(params["dec"]), width, height, scale, fault)
    return 200, _jpeg(image), _JPEG


def _ps1_filenames(params, fault):
    ra, dec = float(params["ra"]), float(params["dec"])
    lines = ["projcell subcell ra dec filter mjd type filename shortname badflag"]
    if dec >= SOUTHERN_LIMIT:
        lines += [
            f"1234 056 {ra} {dec} {band} 0 stack /rings.v3.skycell/1234/056/"
            f"rings.v3.skycell.1234.056.stk.{band}.unconv.fits short.{band} 0"
            for band in params.get("filters", "grizy")
        ]
    return 200, ("\n".join(lines) + "\n").encode(), _TEXT


def _ps1_fitscut(params, fault):
    for channel, band in (("red", "i"), ("green", "r"), ("blue", "g")):
        if not params[channel].endswith(f".stk.{band}.unconv.fits"):
            raise ValueError(channel)
    native = 0.25
    size = int(params["output_size"])
    scale = int(params["size"]) * native / size
    image = _render(float(params["ra"]), float(params["dec"]), size, size, scale, fault)
    if params["format"] == "jpg":
        return 200, _jpeg(image), _JPEG
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return 200, buffer.getvalue(), _PNG


def _sia(params, fault, url):
    ra, dec = (float(value) for value in params["POS"].split(","))
    table = Table(
        {
            "title": [f"Simulated sky in {band}" for band in "grz"] * (dec > SOUTHERN_LIMIT),
            "band": ["g", "r", "z"] * (dec > SOUTHERN_LIMIT),
            "format": ["image/fits"] * 3 * (dec > SOUTHERN_LIMIT),
            "url": [f"{url}/sia-image?ra={ra}&dec={dec}&size={params['SIZE']}&band={band}"
                    for band in "grz"] * (dec > SOUTHERN_LIMIT),
        },
        dtype=["U40", "U1", "U12", "U200"],
    )  # fmt: skip
    votable = from_table(table)
    votable.resources[0].type = "results"
    ucds = ("VOX:Image_Title", "VOX:BandPass_ID", "VOX:Image_Format", "VOX:Image_AccessReference")
    for field, ucd in zip(votable.get_first_table().fields, ucds, strict=True):
        field.ucd = ucd
    votable.resources[0].infos.append(Info(name="QUERY_STATUS", value="OK"))
    buffer = io.BytesIO()
    votable.to_xml(buffer)
    return 200, buffer.getvalue(), "application/x-votable+xml"


def _sia_image(params, fault):
    ra, dec = float(params["ra"]), float(params["dec"])
    size = int(float(params["size"]) * 3600 / 0.262)
    fluxes = render_fluxes(ra, dec, size, size, 0.262) * 0.2
    band = "grz".index(params["band"])
    return 200, _fits(fluxes[..., band : band + 1], ra, dec, 0.262), _FITS


_HANDLERS = {
    "/sia": _sia,
    "/sia-image": _sia_image,
    "/viewer/jpeg-cutout": _viewer_jpeg,
    "/viewer/fits-cutout": _viewer_fits,
    "/hips2fits": _hips2fits,
    "/ImgCutout/getjpeg": _sdss,
    "/cgi-bin/ps1filenames.py": _ps1_filenames,
    "/cgi-bin/fitscut.cgi": _ps1_fitscut,
}
