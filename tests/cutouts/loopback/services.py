"""Responses of each service, by its real paths and parameter names."""

import bz2
import functools
import io
import re

import numpy as np
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.io.votable.tree import Info
from astropy.table import Table
from PIL import Image, ImageDraw

from tests.cutouts.loopback.sky import SOUTHERN_LIMIT, render_colors, render_fluxes

_JPEG, _PNG, _FITS, _TEXT = "image/jpeg", "image/png", "image/fits", "text/plain"
_VIEWER_LAYERS = (
    *(f"ls-dr9{kind}" for kind in ("", "-north", "-south", "-model", "-resid")),
    *("ls-dr10", "ls-dr10-grz", "ls-dr11", "ls-dr11-north", "ls-dr11-south", "sdss", "ps1"),
)
_VIEWER_LIMIT = 3000
_HIPS = (
    "CDS/P/DESI-Legacy-Surveys/DR10/color",
    "CDS/P/SDSS9/color",
    "CDS/P/PanSTARRS/DR1/color-i-r-g",
    "CDS/P/PanSTARRS/DR1/color-z-zg-g",
    "CDS/P/PanSTARRS/DR1/g",
    "CDS/P/PanSTARRS/DR1/r",
)
_SDSS_LIMITS = (64, 2048)
_OUTSIDE_SDSS = "Requested (ra, dec) is outside the SDSS footprint."
# Side of SDSS's frames in degrees; here they do not overlap.
FRAME_SIZE = 0.06


def respond(path, params, fault, url):
    """Return status, body and content type for a request."""
    handler = _HANDLERS.get(path)
    if path.startswith("/sas/dr17/eboss/photoObj/frames/301/"):
        return _sdss_frame(path)
    if handler is None:
        return 404, b"no such page", _TEXT
    try:
        named = (url,) if handler in (_sia, _sia_without_z, _sia2, _links) else ()
        return handler(params, fault, *named)
    except (KeyError, ValueError) as error:
        return 400, f"bad parameters: {error}".encode(), _TEXT


def _jpeg(image):
    """Compress an image as the viewer does: quality 90, colours at half resolution."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=90, subsampling="4:2:0")
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
    image = _render(*_viewer(params), fault)
    # The viewer's colour of missing data.
    image[(image == 0).all(axis=-1)] = 32
    return 200, _jpeg(image), _JPEG


def _viewer_fits(params, fault):
    if params.get("layer") not in _VIEWER_LAYERS:
        return 200, b"no such layer", "text/html; charset=utf-8"
    ra, dec, width, height, scale = _viewer(params)
    bands = params.get("bands", "grz")
    fluxes = render_fluxes(ra, dec, width, height, scale, len(bands))
    if not fluxes.any():
        return 500, b"<h1>Server Error (500)</h1>", "text/html"
    step = scale / 3600
    # As in the viewer: coordinates of two axes only, whatever the number of bands.
    cards = {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": ra, "CRVAL2": dec,
        "CRPIX1": width / 2 + 0.5, "CRPIX2": height / 2 + 0.5,
        "CD1_1": -step, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": step,
        "IMAGEW": float(width), "IMAGEH": float(height), "SURVEY": "LegacySurvey",
        "VERSION": "DR9", "IMAGETYP": "image", "BANDS": bands,
    }  # fmt: skip
    cards |= {f"BAND{i}": band for i, band in enumerate(bands)}
    return 200, _write_fits(fluxes, cards), _FITS


def _write_fits(fluxes, cards):
    hdu = fits.PrimaryHDU(np.moveaxis(fluxes, -1, 0)[:, ::-1].astype(">f4").squeeze())
    hdu.header.update(cards)
    buffer = io.BytesIO()
    hdu.writeto(buffer)
    return buffer.getvalue()


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
    # An ambiguous identifier means any of the matches.
    if not any(params["hips"] in known for known in _HIPS):
        return 400, b'{"title": "HiPS not found"}', "application/json"
    width, height = int(params["width"]), int(params["height"])
    if params["projection"] != "TAN" or params["coordsys"] != "icrs":
        raise ValueError("projection or coordsys")
    # The field of view refers to the larger side.
    scale = float(params["fov"]) * 3600 / max(width, height)
    image = _render(float(params["ra"]), float(params["dec"]), width, height, scale, fault)
    if params["format"] == "jpg":
        return 200, _jpeg(image), _JPEG
    if params["format"] == "fits":
        ra, dec = float(params["ra"]), float(params["dec"])
        fluxes = render_fluxes(ra, dec, width, height, scale, 2)
        # Each HiPS shows one band of the sky.
        band = "gr".index(params["hips"][-1])
        return 200, _fits(fluxes[..., band : band + 1], ra, dec, scale), _FITS
    raise ValueError("format")


def _sdss(params, fault):
    width, height = int(params["width"]), int(params["height"])
    lowest, highest = _SDSS_LIMITS
    width, height = min(max(width, lowest), highest), min(max(height, lowest), highest)
    scale = float(params["scale"])
    if float(params["dec"]) < SOUTHERN_LIMIT - 20:
        return 404, _OUTSIDE_SDSS.encode(), _TEXT
    if float(params["dec"]) < SOUTHERN_LIMIT:
        tile = Image.new("RGB", (width, height))
        ImageDraw.Draw(tile).text((5, height // 2 - 5), _OUTSIDE_SDSS, "white")
        return 200, _jpeg(np.asarray(tile)), _JPEG
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
    if params["format"] == "fits":
        return _ps1_fits(params)
    for channel, band in (("red", "i"), ("green", "r"), ("blue", "g")):
        if not params[channel].endswith(f".stk.{band}.unconv.fits"):
            raise ValueError(channel)
    native = 0.25
    size = int(params["output_size"])
    scale = int(params["size"]) * native / size
    image = _render(float(params["ra"]), float(params["dec"]), size, size, scale, fault)
    # White beyond the edge of a skycell.
    image[(image == 0).all(axis=-1)] = 255
    if params["format"] == "jpg":
        return 200, _jpeg(image), _JPEG
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return 200, buffer.getvalue(), _PNG


def _ps1_fits(params):
    """Single bands have the native scale, whatever output size is requested."""
    ra, dec, size = float(params["ra"]), float(params["dec"]), int(params["size"])
    band = "grizy".index(params["red"].rsplit(".", 3)[1])
    fluxes = render_fluxes(ra, dec, size, size, 0.25, 5)[..., band : band + 1]
    step = 0.25 / 3600
    # Keywords of a former standard.
    cards = {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": ra, "CRVAL2": dec,
        "CRPIX1": (size + 1) / 2, "CRPIX2": (size + 1) / 2, "CDELT1": step, "CDELT2": step,
        "PC001001": -1.0, "PC001002": 0.0, "PC002001": 0.0, "PC002002": 1.0,
        "RADECSYS": "FK5", "MJD-OBS": 55000.0,
    }  # fmt: skip
    return 200, _write_fits(fluxes, cards), _FITS


def _sdss_fields(params, fault):
    """List fields of 0.06°, numbered along declination, with runs along right ascension."""
    if params["searchtool"] != "SQL" or params["format"] != "csv":
        raise ValueError("searchtool or format")
    query = params["cmd"]
    # The numbers are the ends of ranges; in a range across RA = 0 they are swapped.
    dec0, dec1, ra0, ra1 = (float(x) for x in re.findall(r"-?\d+\.\d+", query))
    if dec1 < SOUTHERN_LIMIT:
        return 200, b"#Table1\nrun,rerun,camcol,field\n", _TEXT
    runs = range(int(ra0 // FRAME_SIZE), int((ra1 + 360 * (ra1 < ra0)) // FRAME_SIZE) + 1)
    fields = range(int((dec0 + 90) // FRAME_SIZE), int((dec1 + 90) // FRAME_SIZE) + 1)
    lines = [f"{run % round(360 / FRAME_SIZE)},301,3,{field}" for run in runs for field in fields]
    return 200, "\n".join(["#Table1", "run,rerun,camcol,field", *lines, ""]).encode(), _TEXT


@functools.lru_cache(maxsize=200)
def _sdss_frame(path):
    """Return a frame, whose rows are columns of the sky."""
    _, band, run, _, field = path.rsplit("/", 1)[1].split(".")[0].split("-")
    ra, dec = (int(run) + 0.5) * FRAME_SIZE, (int(field) + 0.5) * FRAME_SIZE - 90
    # Coarser than SDSS's 0.396127" per pixel, to be quick.
    scale, size = 0.8, 310
    fluxes = render_fluxes(ra, dec, size, size, scale, 5)[::-1, :, "ugriz".index(band)]
    hdu = fits.PrimaryHDU(fluxes.T.astype(">f4"))
    step = scale / 3600
    hdu.header.update(
        CTYPE1="RA---TAN", CTYPE2="DEC--TAN", CRVAL1=ra, CRVAL2=dec, CRPIX1=(size + 1) / 2,
        CRPIX2=(size + 1) / 2, CD1_1=0.0, CD1_2=-step, CD2_1=step, CD2_2=0.0,
    )  # fmt: skip
    # Real frames have further tables and images as well.
    sky = fits.ImageHDU(np.ones(size, np.float32))
    buffer = io.BytesIO()
    fits.HDUList([hdu, sky]).writeto(buffer)
    return 200, bz2.compress(buffer.getvalue(), 1), "application/x-bzip2"


def _sia_without_z(params, fault, url):
    """NOIRLab's service of Legacy DR9 has images in g and r only."""
    return _sia(params, fault, url, bands="gr")


def _sia(params, fault, url, bands="grz"):
    """Version 1: images and weight maps, as NOIRLab lists them."""
    ra, dec = (float(value) for value in params["POS"].split(","))
    # SIZE is in coordinates.
    width, height = (float(value) for value in params["SIZE"].split(","))
    region = f"ra={ra}&dec={dec}&width={width * np.cos(np.radians(dec))}&height={height}"
    products = ("invvar", "depth", "nexp", "chi2", "model", "image")
    kinds = [(band, kind) for kind in products for band in bands]
    rows = [
        (f"Simulated sky in {band}", f"{band} CAM", "image/fits", kind, "Stack",
         f"{url}/sia-image?{region}&band={band}&kind={kind}")
        for band, kind in kinds * (dec > SOUTHERN_LIMIT)
    ]  # fmt: skip
    names = ("title", "band", "format", "prodtype", "proctype", "url")
    ucds = ("VOX:Image_Title", "VOX:BandPass_ID", "VOX:Image_Format", None, None,
            "VOX:Image_AccessReference")  # fmt: skip
    return _votable(rows, names, dict(zip(names, ucds, strict=True)))


def _sia2(params, fault, url):
    """Version 2: each image through its datalink."""
    shape, ra, dec, radius = params["POS"].split()
    if shape != "CIRCLE" or params.get("COLLECTION", "SIM") != "SIM":
        raise ValueError("POS or COLLECTION")
    ranges = {"g": (4e-7, 5.5e-7), "r": (5.7e-7, 7.2e-7), "z": (8.4e-7, 1e-6)}
    size = 2 * float(radius)
    rows = [
        ("image", *ranges[band], "application/x-votable+xml;content=datalink",
         f"{url}/links?ra={ra}&dec={dec}&width={size}&height={size}&band={band}")
        for band in "grz" * (float(dec) > SOUTHERN_LIMIT)
    ]  # fmt: skip
    names = ("dataproduct_type", "em_min", "em_max", "access_format", "access_url")
    return _votable(rows, names, {}, units={"em_min": "m", "em_max": "m"})


def _links(params, fault, url):
    image = f"{url}/sia-image?" + "&".join(f"{key}={value}" for key, value in params.items())
    rows = [
        ("x", f"{url}/nowhere", "", "", "#preview", "image/png"),
        ("x", image, "", "", "#this", "image/fits"),
    ]
    names = ("ID", "access_url", "service_def", "error_message", "semantics", "content_type")
    return _votable(rows, names, {})


def _votable(rows, names, ucds, units=None):
    columns = list(zip(*rows, strict=True)) or [[]] * len(names)
    floats = units or {}
    table = Table(columns, names=names, dtype=[float if n in floats else "U300" for n in names])
    for name, unit in floats.items():
        table[name].unit = unit
    votable = from_table(table)
    votable.resources[0].type = "results"
    for field in votable.get_first_table().fields:
        field.ucd = ucds.get(field.name)
    votable.resources[0].infos.append(Info(name="QUERY_STATUS", value="OK"))
    buffer = io.BytesIO()
    votable.to_xml(buffer)
    return 200, buffer.getvalue(), "application/x-votable+xml"


def _sia_image(params, fault):
    ra, dec = float(params["ra"]), float(params["dec"])
    width, height = (int(float(params[side]) * 3600 / 0.262) for side in ("width", "height"))
    fluxes = render_fluxes(ra, dec, width, height, 0.262) * 0.2
    if params.get("kind") == "invvar":
        fluxes[:] = 400.0
    band = "grz".index(params["band"])
    return 200, _fits(fluxes[..., band : band + 1], ra, dec, 0.262), _FITS


_HANDLERS = {
    "/sia": _sia,
    "/sia/ls_dr9": _sia_without_z,
    "/sia/v2query": _sia2,
    "/siav2-in-name-only": _sia,
    "/links": _links,
    "/sia-image": _sia_image,
    "/viewer/jpeg-cutout": _viewer_jpeg,
    "/viewer/fits-cutout": _viewer_fits,
    "/hips-image-services/hips2fits": _hips2fits,
    "/dr17/SkyServerWS/ImgCutout/getjpeg": _sdss,
    "/dr17/en/tools/search/x_results.aspx": _sdss_fields,
    "/cgi-bin/ps1filenames.py": _ps1_filenames,
    "/cgi-bin/fitscut.cgi": _ps1_fitscut,
}
