"""All services of a search on loopback: TAP, SkyServer, dust, viewer, name resolver, NSA file."""

import contextlib
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from PIL import Image

from shredfinder import conf
from shredfinder.cutouts import CutoutRequest, LocalImages
from shredfinder.exceptions import NoCoverageError
from tests.catalogs.loopback import CatalogServer, SkyDatabase
from tests.pipeline.world.catalogues import make_legacy, make_nsa, make_ps1, make_sdss

_GREY = 32
_LIMIT = 3000
# Smallest part of an image that is searched for sky.
_SMALLEST = 130


class ImageServer:
    """Serve images, names and the NSA of a simulated sky, as the Legacy viewer and Sesame do."""

    def __init__(self, sky, nsa):
        images = {band: [] for band in "grz"}
        for field in sky.fields:
            for band, fluxes in zip(field.bands, field.fluxes, strict=True):
                images[band].append((fluxes, field.wcs))
        # Fluxes are in nanomaggies per native pixel, whatever the pixel scale.
        self.images = LocalImages(images, flux_scale=1, jpeg=False)
        self.drawn = [(field.image, field.wcs) for field in sky.fields]
        self.pixel_scale = sky.fields[0].pixel_scale
        self.sky, self.nsa = sky, Path(nsa)
        self.names = {"NGC 2903": sky.center}
        self.requests, self.down = [], False
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def draw(self, params):
        """A JPEG image, grey where there is no sky."""
        if params.get("layer") != "ls-dr9" or params.get("bands", "grz") != "grz":
            return b"no such layer"
        size = int(params.get("size", 256))
        width, height = (min(int(params.get(name, size)), _LIMIT) for name in ("width", "height"))
        scale = float(params["pixscale"])
        with self.lock:
            image = self.render(float(params["ra"]), float(params["dec"]), width, height, scale)
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=90, subsampling="4:2:0")
        return file.getvalue()

    def render(self, ra, dec, width, height, scale):
        """Colours; at the native scale cut from the fields, which is 100 times faster."""
        if abs(scale - self.pixel_scale) < 1e-6:
            return self.cut(SkyCoord(ra, dec, unit="deg"), width, height)
        return self.resample(ra, dec, width, height, scale)

    def cut(self, center, width, height):
        """Colours to half a pixel, grey where there is no sky."""
        image = np.full((height, width, 3), _GREY, np.uint8)
        for whole, wcs in self.drawn:
            x, y = wcs.world_to_pixel(center)
            left, bottom = round(float(x) - (width - 1) / 2), round(float(y) - (height - 1) / 2)
            part = whole[max(bottom, 0) : max(bottom + height, 0)]
            part = part[:, max(left, 0) : max(left + width, 0)]
            rows, columns = (
                slice(max(-low, 0), max(-low, 0) + n)
                for low, n in zip((bottom, left), part.shape, strict=False)
            )
            image[rows, columns] = part
        # The first row of a field is in the south.
        return image[::-1]

    def resample(self, ra, dec, width, height, scale):
        """Colours, grey where there is no sky; in parts where there is none at the centre."""
        try:
            return self.images.fetch(CutoutRequest(ra, dec, width, height, scale)).image
        except NoCoverageError:
            image = np.full((height, width, 3), _GREY, np.uint8)
        if max(width, height) < _SMALLEST:
            return image
        center = SkyCoord(ra, dec, unit="deg")
        for columns in (slice(0, width // 2), slice(width // 2, width)):
            for rows in (slice(0, height // 2), slice(height // 2, height)):
                east = -((columns.start + columns.stop - width) / 2) * scale * u.arcsec
                north = -((rows.start + rows.stop - height) / 2) * scale * u.arcsec
                place = center.spherical_offsets_by(east, north)
                size = columns.stop - columns.start, rows.stop - rows.start
                image[rows, columns] = self.resample(place.ra.deg, place.dec.deg, *size, scale)
        return image

    def resolve(self, name):
        """Sesame's response in the format that astropy requests."""
        found = self.names.get(name)
        if found is None:
            return f"# {name}\t#Q1\n#=S=Simbad:    0     0ms\n#!SIMBAD: No known catalog\n#====Done"
        return (
            f"# {name}\t#Q1\n#=S=Simbad: 1     0ms (from cache)\n%@ 1\n%C.0 GiG\n"
            f"%J {found.ra.deg:.8f} {found.dec.deg:+.8f} = 09:32:10.11 +21:30:03.0\n"
            "%J.E [1 1 0] C\n#====Done (2026-Nov-25,10:00:00z)====\n"
        )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # clients may hang up


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        owner = self.server.owner
        address = urlsplit(self.path)
        params = dict(parse_qsl(address.query, keep_blank_values=True))
        with owner.lock:
            owner.requests.append((address.path, params))
        if address.path == "/viewer/jpeg-cutout" and owner.down:
            return self.reply(503, b"maintenance", "text/plain")
        if address.path == "/viewer/jpeg-cutout":
            body = owner.draw(params)
            kind = "image/jpeg" if body[:2] == b"\xff\xd8" else "text/html"
            return self.reply(200, body, kind)
        if address.path == "/sesame/SNV":
            body = owner.resolve(unquote(address.query))
            return self.reply(200, body.encode(), "text/plain")
        if address.path == "/nsa_v1_0_1.fits":
            return self.reply(200, owner.nsa.read_bytes(), "image/fits")
        return self.reply(404, b"no such page", "text/plain")

    def reply(self, status, body, content_type):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Services:
    """The running servers, and the options with their addresses."""

    def __init__(self, images, catalogs):
        self.images, self.catalogs = images, catalogs
        self.addresses = {
            "legacy_tap_url": catalogs.tap,
            "sdss_sql_url": catalogs.url,
            "ps1_tap_url": catalogs.tap,
            "mast_tap_url": catalogs.tap,
            "dust_url": f"{catalogs.url}/dust",
            "nsa_url": f"{images.url}/nsa_v1_0_1.fits",
            "resolver_url": f"{images.url}/sesame/",
            "legacy_viewer_url": f"{images.url}/viewer",
        }

    @contextlib.contextmanager
    def configured(self):
        """Set the addresses in the package's configuration."""
        with contextlib.ExitStack() as stack:
            for name, value in self.addresses.items():
                stack.enter_context(conf.set_temp(name, value))
            yield self

    @property
    def options(self):
        """The same as command-line options."""
        names = {**self.addresses, "base_url": self.addresses["legacy_viewer_url"]}
        del names["legacy_viewer_url"]
        return [
            part for name, value in names.items() for part in (f"--{name.replace('_', '-')}", value)
        ] + ["--rate", "0"]


@contextlib.contextmanager
def running_services(sky, folder):
    """Start the servers of a sky, with the file of hosts in a folder."""
    nsa = make_nsa(sky, Path(folder) / "nsa_v1_0_1.fits")
    database = SkyDatabase(
        {"ls_dr9.tractor": make_legacy(sky), "PhotoPrimary": make_sdss(sky), **make_ps1(sky)}
    )
    with ImageServer(sky, nsa) as images, CatalogServer(database) as catalogs:
        yield Services(images, catalogs)
