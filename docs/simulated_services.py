"""Servers on this machine that imitate the surveys' services, with one simulated sky.

The gallery and the notebooks of the documentation query services. They are built without a network,
so these servers respond in place of the real ones. ``python -m docs.simulated_services`` starts
them for your own experiments, and prints how to use them.
"""

import contextlib
import functools
import tempfile
import threading
from unittest import mock

import numpy as np
from astropy.coordinates import SkyCoord
from scipy.ndimage import map_coordinates

from shredfinder import conf
from shredfinder.imaging import flux_to_rgb
from tests.cutouts.loopback import LoopbackServer
from tests.cutouts.loopback import services as responses
from tests.pipeline.world import make_sky, running_services

# Items of shredfinder.conf for the image services, and their paths on the server.
_IMAGE_SERVICES = {
    "hips2fits_url": "",
    "sdss_url": "",
    "sdss_sas_url": "",
    "ps1_url": "",
    "sia_url": "/sia/ls_dr9",
}
# Options of ``shredfinder run`` for the other services, and the viewer's item.
_OPTIONS = ("legacy_tap_url", "nsa_url", "resolver_url", "dust_url", "sdss_sql_url", "ps1_tap_url")
_VIEWER = "legacy_viewer_url"


@contextlib.contextmanager
def running_simulated_services(folder):
    """Start the servers, with their files in a folder, and yield the URL of each service.

    The URLs are a dictionary by item of ``shredfinder.conf``. The catalogues, the host named NGC
    2903 and the images all show one field of 8′ × 8′.
    """
    sky = make_sky(size=1024, n_hosts=9, seed=2)
    fluxes = functools.partial(_render_fluxes, sky.fields[0])
    colors = functools.partial(_render_colors, sky.fields[0])
    with (
        mock.patch.object(responses, "render_fluxes", fluxes),
        mock.patch.object(responses, "render_colors", colors),
        running_services(sky, folder) as services,
        LoopbackServer() as images,
    ):
        urls = {name: images.url + path for name, path in _IMAGE_SERVICES.items()}
        yield urls | services.addresses


def use_services(urls):
    """Query the servers instead of the real services, for the rest of the session."""
    for name, url in urls.items():
        setattr(conf, name, url)


def _render_fluxes(field, ra, dec, width, height, scale, n_bands=3):
    """Return fluxes of shape (height, width, n_bands), the first row in the north; 0 outside."""
    x, y = field.wcs.world_to_pixel(SkyCoord(ra, dec, unit="deg"))
    step = scale / field.pixel_scale
    columns = x + (np.arange(width) - (width - 1) / 2) * step
    rows = y - (np.arange(height) - (height - 1) / 2) * step
    places = np.meshgrid(rows, columns, indexing="ij")
    layers = [map_coordinates(layer, places, order=1) for layer in field.fluxes]
    # Five-band surveys: the nearest of g, r and z stands for each band.
    order = {5: (0, 0, 1, 2, 2)}.get(n_bands, np.arange(n_bands) % 3)
    return np.stack([layers[i] for i in order], axis=-1)


def _render_colors(field, ra, dec, width, height, scale):
    """Return colours of shape (height, width, 3), uint8; black outside the field."""
    fluxes = _render_fluxes(field, ra, dec, width, height, scale)
    image = flux_to_rgb(np.moveaxis(fluxes, -1, 0), field.bands, color_mapping="legacy-grz")
    image[~fluxes.any(axis=-1)] = 0
    return image


def main():
    """Run the servers until they are interrupted."""
    with tempfile.TemporaryDirectory() as folder, running_simulated_services(folder) as urls:
        lines = ["in Python:"]
        lines += [f"  shredfinder.conf.{name} = {url!r}" for name, url in sorted(urls.items())]
        options = [f"--{name.replace('_', '-')} {urls[name]}" for name in _OPTIONS]
        command = f'shredfinder run --host "NGC 2903" -o ngc2903.fits --base-url {urls[_VIEWER]}'
        lines += ["on the command line:", " \\\n      ".join([f"  {command}", *options])]
        lines += ["fluxes for shredfinder merge --method image:"]
        lines += [f"  --base-url {urls['hips2fits_url']}/viewer"]
        print("\n".join([*lines, "Ctrl-C stops the servers"]), flush=True)  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
