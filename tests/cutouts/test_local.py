"""Cutouts from images on disk and in memory: orientation, values and input."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS, Sip
from scipy import ndimage

from shredfinder import Cutouts, ShredClassifier
from shredfinder.cutouts import LocalImages, fetch_cutouts
from shredfinder.cutouts.grouping import deproject
from shredfinder.datasets import make_field
from shredfinder.imaging import compress_jpeg, flux_to_rgb
from tests.conftest import find_pixels

STAR = SkyCoord(150.1, 2.2, unit="deg")
NATIVE = 0.262


FRAMES = {
    "icrs": ("RA---", "DEC--", "ICRS"),
    "fk4": ("RA---", "DEC--", "FK4"),
    "galactic": ("GLON-", "GLAT-", ""),
}


def make_wcs(
    center=STAR,
    n=500,
    *,
    scale=NATIVE,
    rotation=0.0,
    flip=False,
    frame="icrs",
    projection="TAN",
    reference=None,
    stretch=1.0,
    distort=False,
):
    """Return a WCS of any kind, with the centre in the middle of n × n pixels.

    The projection's reference point is the centre, or ``reference``, offsets from it in degrees;
    ``None`` there means latitude zero.
    """
    wcs = WCS(naxis=2)
    *types, radesys = FRAMES[frame]
    wcs.wcs.ctype = [kind + projection for kind in types]
    wcs.wcs.radesys = radesys
    if frame == "fk4":
        wcs.wcs.equinox = 1950.0
    place = center.transform_to("fk4" if frame == "fk4" else frame).spherical
    lon, lat = place.lon.deg, place.lat.deg
    if reference is not None:
        shift_lon, shift_lat = reference
        wcs.wcs.crval = lon + shift_lon, 0.0 if shift_lat is None else lat + shift_lat
    else:
        wcs.wcs.crval = lon, lat
    angle = np.radians(rotation)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    wcs.wcs.cd = turn @ np.diag([1 if flip else -1, stretch]) * scale / 3600
    wcs.wcs.crpix = 0, 0
    wcs.wcs.crpix = (n + 1) / 2 - wcs.wcs_world2pix([[lon, lat]], 1)[0]
    if distort:
        terms = np.zeros((3, 3))
        terms[2, 0], terms[1, 1] = 2e-5, 1e-5
        wcs.wcs.ctype = [kind + "TAN-SIP" for kind in types]
        wcs.sip = Sip(terms, terms.T, None, None, wcs.wcs.crpix)
    return wcs


def make_image(wcs, n=500, *, stars=(STAR,), sigma=0.8, flux=1.0):
    """Return an image of Gaussian stars, sigma in arcsec, on zero sky."""
    y, x = np.mgrid[:n, :n]
    image = np.zeros((n, n))
    for star in stars:
        # Separations on the sky do not depend on the projection.
        sky = wcs.pixel_to_world(x, y).icrs
        east, north = star.spherical_offsets_to(SkyCoord(sky.ra, sky.dec))
        distance = np.hypot(east.arcsec, north.arcsec)
        image += flux * np.exp(-0.5 * (distance / sigma) ** 2)
    return image


def fetch(images, coords=STAR, *, size=128, scale=0.46875, **kwargs):
    service = LocalImages(images, bands="g", color_mapping="flux", **kwargs)
    return fetch_cutouts(
        coords.reshape(-1), service=service, size=size, pixel_scale=scale, progress=False
    )


def centroid(image):
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return (x * image).sum() / image.sum(), (y * image).sum() / image.sum()


@pytest.mark.parametrize("size", [64, 65])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rotation": 30},
        {"flip": True},
        {"rotation": -110, "flip": True},
        {"frame": "galactic"},
        {"frame": "fk4"},
        {"projection": "SIN", "rotation": 45},
        {"projection": "ARC", "reference": (1.0, -1.5)},
        {"projection": "STG", "flip": True},
        {"projection": "ZEA", "reference": (3.0, 2.0), "rotation": 200},
        {"projection": "CAR", "reference": (0.5, None)},
        {"projection": "AIT", "reference": (2.0, None)},
        {"projection": "CEA", "reference": (0.0, None), "flip": True},
        {"reference": (-0.8, 0.6)},
        {"stretch": 0.7},
        {"distort": True, "rotation": 20},
        {"scale": 0.1},
        {"scale": 0.6},
    ],
)
def test_north_is_up_and_the_source_central(options, size):
    # A fainter star 10″ north and 5″ east of the source.
    second = STAR.spherical_offsets_by(5 * u.arcsec, 10 * u.arcsec)
    wcs = make_wcs(**options)
    image = make_image(wcs) + make_image(wcs, stars=[second], flux=0.5)
    cutouts = fetch({"g": (image, wcs)}, size=size)
    assert cutouts.good.all()
    found = cutouts.images[0, :, :, 0]
    middle = (size - 1) / 2
    x, y = np.meshgrid(np.arange(size) - middle, np.arange(size) - middle)
    near = np.hypot(x, y) < 8
    np.testing.assert_allclose(centroid(np.where(near, found, 0)), [middle, middle], atol=0.05)
    # East is left, north is up.
    beside = np.hypot(x + 5 / 0.46875, y + 10 / 0.46875) < 8
    expected = middle - 5 / 0.46875, middle - 10 / 0.46875
    np.testing.assert_allclose(centroid(np.where(beside, found, 0)), expected, atol=0.05)


def test_at_the_native_scale_pixels_are_unchanged():
    wcs = make_wcs(n=200)
    image = np.random.default_rng(0).normal(size=(200, 200))
    found = fetch({"g": (image, wcs)}, size=100, scale=NATIVE).images[0, :, :, 0]
    np.testing.assert_allclose(found, image[50:150, 50:150][::-1], atol=1e-6)


def test_surface_brightness_is_preserved():
    wcs = make_wcs()
    found = fetch({"g": (make_image(wcs, sigma=5.0), wcs)}).images[0, :, :, 0]
    # Summing the native pixels would triple the peak.
    assert found.max() == pytest.approx(1, abs=0.01)


def test_smoothing_and_averaging_as_in_the_viewer():
    wcs = make_wcs(n=300)
    image = np.random.default_rng(1).normal(size=(300, 300))
    smooth = ndimage.gaussian_filter(image, 1.0)
    smooth = (smooth[::2, ::2] + smooth[1::2, ::2] + smooth[::2, 1::2] + smooth[1::2, 1::2]) / 4
    found = fetch({"g": (image, wcs)}, size=100, scale=2 * NATIVE).images[0, :, :, 0]
    np.testing.assert_allclose(found, smooth[25:125, 25:125][::-1], atol=1e-5)


def write_bricks(folder, star, *, bands="grz", overlap=40, compress=False):
    """Write two bricks that meet at the star, left and right of it."""
    n = 400
    for name, sign in (("0001p000", 1), ("0002p000", -1)):
        # The seam lies within the bricks' overlap.
        offset = sign * (n - overlap) / 2 * NATIVE
        center = star.spherical_offsets_by(offset * u.arcsec, 0 * u.arcsec)
        wcs = make_wcs(center, n)
        for band, flux in zip(bands, (0.05, 0.1, 0.2), strict=False):
            data = make_image(wcs, n, stars=[star], sigma=2.0, flux=flux).astype(np.float32)
            path = folder / name / f"legacysurvey-{name}-image-{band}.fits"
            path.parent.mkdir(exist_ok=True)
            hdu = fits.ImageHDU(data, wcs.to_header())
            if compress:
                hdu = fits.CompImageHDU(
                    data, wcs.to_header(), compression_type="GZIP_2", quantize_level=0
                )
                path = path.with_suffix(".fits.fz")
            fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)


@pytest.mark.parametrize("compress", [False, True])
def test_bricks_meet_without_a_seam(tmp_path, compress):
    write_bricks(tmp_path, STAR, compress=compress)
    service = LocalImages(tmp_path)
    try:
        cutouts = fetch_cutouts(STAR.reshape(1), service=service, progress=False)
    finally:
        service.close()
    assert cutouts.flags.tolist() == [""]
    assert cutouts.color_mapping == "legacy-grz"
    image = np.maximum(cutouts.images[0].astype(float) - 40, 0)
    for band in range(3):
        np.testing.assert_allclose(centroid(image[32:96, 32:96, band]), [31.5, 31.5], atol=0.1)
    # z is the brightest band, and red in the colour mapping.
    center = np.asarray(cutouts.images[0, 63, 63], int)
    expected = flux_to_rgb(np.array([0.05, 0.1, 0.2]), "grz")
    assert np.abs(center - expected).max() <= 6


def test_positions_outside_all_images(tmp_path):
    write_bricks(tmp_path, STAR)
    service = LocalImages(tmp_path)
    coords = SkyCoord([150.1, 151.0, 330.1, np.nan], [2.2, 2.2, -2.2, 0], unit="deg")
    try:
        cutouts = fetch_cutouts(coords, service=service, progress=False)
    finally:
        service.close()
    assert cutouts.flags.tolist() == ["", "no coverage", "no coverage", "no position"]


def test_cubes_and_several_files(tmp_path):
    for i, shift in enumerate((0, 60)):
        center = STAR.spherical_offsets_by(shift * u.arcsec, 0 * u.arcsec)
        shifted = make_wcs(center, 300)
        cube = np.stack([make_image(shifted, 300, flux=flux) for flux in (1.0, 2.0)])
        fits.PrimaryHDU(cube, shifted.to_header()).writeto(tmp_path / f"cube-{i}.fits")
    service = LocalImages(str(tmp_path / "cube-*.fits"), bands="gr", color_mapping="flux")
    try:
        cutouts = fetch_cutouts(STAR.reshape(1), service=service, progress=False, size=65)
    finally:
        service.close()
    assert cutouts.bands == ("g", "r")
    np.testing.assert_allclose(cutouts.images[0, 32, 32, 1] / cutouts.images[0, 32, 32, 0], 2)


@pytest.mark.parametrize("how", ["header", "name", "cube"])
def test_folders_of_any_images(tmp_path, how):
    wcs = make_wcs(n=300)
    images = {band: make_image(wcs, 300, flux=0.1 * (i + 1)) for i, band in enumerate("grz")}
    header = wcs.to_header()
    if how == "cube":
        fits.writeto(tmp_path / "cube.fits", np.stack([images[b] for b in "grz"]), header)
    else:
        for band, image in images.items():
            name = f"field_{band}.fits" if how == "name" else f"{len(band)}{ord(band)}.fits.gz"
            header["FILTER"] = f"{band} DECam SDSS c0001" if how == "header" else ""
            (tmp_path / "sub").mkdir(exist_ok=True)
            fits.writeto(tmp_path / "sub" / name, image, header)
        # An image in a band that is not requested.
        header["FILTER"] = "Y"
        fits.writeto(tmp_path / "other.fits", images["g"], header)
    service = LocalImages(base_url=tmp_path, color_mapping="flux", bands="grz")
    try:
        cutouts = fetch_cutouts(STAR.reshape(1), service=service, progress=False, size=65)
    finally:
        service.close()
    centre = cutouts.images[0, 32, 32]
    np.testing.assert_allclose(centre / centre[0], [1, 2, 3], rtol=1e-5)


def test_images_of_unknown_bands_are_refused(tmp_path):
    fits.writeto(tmp_path / "image.fits", np.zeros((20, 20)), make_wcs(n=20).to_header())
    with pytest.raises(ValueError, match="cannot find out which of the bands g, r, z"):
        LocalImages(tmp_path)


def test_wrong_input_is_refused(tmp_path):
    wcs = make_wcs(n=50)
    image = np.zeros((50, 50))
    with pytest.raises(ValueError, match="needs images"):
        LocalImages()
    with pytest.raises(ValueError, match="no image file"):
        LocalImages({"g": tmp_path / "nowhere.fits"})
    with pytest.raises(ValueError, match="holds no FITS images"):
        LocalImages(tmp_path)
    with pytest.raises(ValueError, match="no image in z, r"):
        LocalImages({"g": (image, wcs)})
    with pytest.raises(ValueError, match="2 bands were named"):
        LocalImages((image, wcs), bands="gr")
    with pytest.raises(ValueError, match="no colour mapping"):
        LocalImages({"g": (image, wcs)}, color_mapping="pink")
    ecliptic = make_wcs(n=50)
    ecliptic.wcs.ctype = "ELON-TAN", "ELAT-TAN"
    for other in (ecliptic, WCS(naxis=2)):
        with pytest.raises(ValueError, match="needs equatorial or galactic coordinates"):
            LocalImages({"g": (image, other)}, color_mapping="flux")
    coarse = make_wcs(n=50, scale=0.5)
    with pytest.raises(ValueError, match="give flux_scale"):
        LocalImages(dict.fromkeys("grz", (image, coarse)))
    assert LocalImages(dict.fromkeys("grz", (image, coarse)), flux_scale=0.3)


def test_pixel_positions_agree_with_the_servers():
    # Remote and local images must share one convention of the central position.
    east, north = np.array([0.0, 10.0]), np.array([0.0, -3.0])
    ra, dec = deproject(east, north, STAR.ra.deg, STAR.dec.deg)
    found = STAR.spherical_offsets_to(SkyCoord(ra, dec, unit="deg"))
    np.testing.assert_allclose(found[0].arcsec, east, atol=1e-4)
    np.testing.assert_allclose(found[1].arcsec, north, atol=1e-4)


@pytest.mark.parametrize("pieces", [[(0, 900)], [(0, 471), (430, 900)]])
def test_bricks_and_viewer_give_the_same_p_cnn(pieces):
    # Another implementation of the viewer's steps: per brick, averaged where bricks overlap.
    field = make_field(random_state=3, size=900)
    wcs = field.wcs.deepcopy()
    wcs.wcs.cdelt = -NATIVE / 3600, NATIVE / 3600
    fluxes = dict(zip(field.bands, field.fluxes, strict=True))
    low, high = (250, 650) if len(pieces) == 1 else (380, 520)
    xy = find_pixels(field, [low, 250], [high, 650])
    assert len(xy) >= 15
    step = 0.46875 / NATIVE
    offsets = (np.arange(128) - 63.5) * step
    viewer = []
    for x, y in xy:
        # North is up: rows run from high to low y.
        rows, columns = np.meshgrid(y - offsets, x + offsets, indexing="ij")
        planes = []
        for band in "grz":
            parts = []
            for start, stop in pieces:
                part = _interpolate(fluxes[band][:, start:stop], columns - start, rows)
                inside = (columns >= start) & (columns <= stop - 1)
                parts.append(np.where(inside, part, np.nan))
            planes.append(np.nanmean(parts, axis=0))
        viewer.append(compress_jpeg(flux_to_rgb(np.stack(planes), "grz")))
    viewer = Cutouts.of_survey("legacy-dr9", np.stack(viewer))
    images = {band: [] for band in fluxes}
    for start, stop in pieces:
        shifted = wcs.deepcopy()
        shifted.wcs.crpix = wcs.wcs.crpix - (start, 0)
        for band, flux in fluxes.items():
            images[band].append((flux[:, start:stop], shifted))
    coords = wcs.pixel_to_world(*xy.T)
    brick = fetch_cutouts(coords, service=LocalImages(images), progress=False)
    assert brick.good.all()
    # Differences of a thousandth of the noise; the JPEG's rounding turns some into a level or two.
    assert np.abs(brick.images.astype(int) - viewer.images).mean() < 0.7
    classifier = ShredClassifier.load()
    p_brick, p_viewer = (classifier.predict_p_cnn(x)[0] for x in (brick, viewer))
    # Some of the sources may look like stars, and are not scored.
    scored = np.isfinite(p_brick) & np.isfinite(p_viewer)
    assert scored.mean() > 0.7
    difference = np.abs(p_brick - p_viewer)[scored].mean()
    print(f"mean difference of p_cnn: {difference:.5f}")
    assert difference < 0.005
    assert p_brick[scored].max() > 0.5 > p_brick[scored].min()


def _interpolate(image, x, y):
    """Lanczos-interpolate an image; the outermost pixels are repeated beyond the edges."""
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    ny, nx = image.shape
    # The kernel is separable: seven weights along each axis.
    columns = [_lanczos(x - column - i) for i in range(-3, 4)]
    rows = [_lanczos(y - row - j) for j in range(-3, 4)]
    total = weights = 0
    for j, of_row in enumerate(rows, -3):
        for i, of_column in enumerate(columns, -3):
            weight = of_row * of_column
            pixels = image[np.clip(row + j, 0, ny - 1), np.clip(column + i, 0, nx - 1)]
            total, weights = total + weight * pixels, weights + weight
    return total / weights


def _lanczos(offset):
    return np.where(np.abs(offset) < 3, np.sinc(offset) * np.sinc(offset / 3), 0)
