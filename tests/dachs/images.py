"""The images that the test server publishes: two fields in g, r and z with known stars."""

import csv
import shutil
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

# Paths of the services: version 1 with datalink and SODA, version 2, and one that cuts by itself.
IMAGE_SERVICES = ("/tst/q/i/siap.xml", "/__system__/siap2/sitewide/siap2.xml", "/tst/q/c/siap.xml")
FIELDS = {"f1": (150.1, 2.2), "f2": (150.3, 2.2)}
SIZE = 512
SCALE = 0.262
# Peak flux of the star at each field's centre, in nanomaggies per pixel.
PEAKS = {"g": 0.05, "r": 0.1, "z": 0.2}
SIGMA = 3.0


def make_field(folder, name, ra, dec):
    """Write the images of one field."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ("RA---TAN", "DEC--TAN"), (ra, dec)
    wcs.wcs.crpix = (SIZE + 1) / 2, (SIZE + 1) / 2
    wcs.wcs.cdelt, wcs.wcs.cunit = (-SCALE / 3600, SCALE / 3600), ("deg", "deg")
    wcs.wcs.radesys = "ICRS"
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    star = np.exp(-0.5 * (x**2 + y**2) / SIGMA**2)
    noise = np.random.default_rng(1).normal(0, 5e-4, (SIZE, SIZE))
    for band, peak in PEAKS.items():
        header = wcs.to_header()
        header["FILTER"], header["OBJECT"], header["EQUINOX"] = band, name, 2000.0
        header["DATE-OBS"], header["EXPTIME"] = "2020-01-02T03:04:05", 90.0
        image = (peak * star + noise).astype("f4")
        fits.PrimaryHDU(image, header).writeto(folder / f"{name}_{band}.fits", overwrite=True)


def fill_images(source):
    """Write images, catalogue and their description to a folder, for `running_dachs`."""
    folder = source / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (ra, dec) in FIELDS.items():
        make_field(folder, name, ra, dec)
    with open(folder / "cat.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["objid", "ra", "dec", "mag_g", "mag_r", "mag_z"])
        writer.writerows([name, ra, dec, 20.5, 20, 19.7] for name, (ra, dec) in FIELDS.items())
    shutil.copy(Path(__file__).parent / "q.rd", source)
