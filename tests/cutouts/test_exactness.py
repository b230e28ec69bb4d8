"""Local images agree with an exact interpolation, for any declination, orientation and scale.

The reference projects each pixel with astropy, smooths with scipy, and sums the 36 pixels of the
Lanczos kernel directly, in double precision.
"""

import numpy as np
import pytest
from astropy.wcs import WCS
from scipy import ndimage

from shredfinder import ShredClassifier
from shredfinder.cutouts import CutoutRequest, LocalImages
from shredfinder.imaging import compress_jpeg, flux_to_rgb
from shredfinder.imaging.grids import fit_grids, make_nodes, resample_grid
from shredfinder.imaging.resampling import resample_lanczos, smooth_and_average

NATIVE = 0.262
NOISE = {"g": 0.002, "r": 0.004, "z": 0.01}
N = 900


@pytest.fixture(scope="module")
def planes():
    """Images of noise, galaxies, and stars up to a thousand times brighter than white."""
    rng = np.random.default_rng(5)
    y, x = np.indices((N, N), dtype=float)
    sky = np.zeros((N, N))
    for width, peaks in ((1.9, np.geomspace(0.05, 500, 60)), (9.0, np.geomspace(0.01, 1, 20))):
        for peak in peaks:
            x0, y0 = rng.uniform(0, N, 2)
            sky += peak * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * width**2))
    images = {band: sky + rng.normal(0, sigma, sky.shape) for band, sigma in NOISE.items()}
    return {band: image.astype(np.float32) for band, image in images.items()}


def make_wcs(ra, dec, *, angle=0.0, flip=False):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix = (ra, dec), ((N + 1) / 2, (N + 1) / 2)
    sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    wcs.wcs.cd = turn @ np.diag([1 if flip else -1, 1]) * NATIVE / 3600
    return wcs


def locate(wcs, request):
    """Return the pixel in an image of each pixel of a cutout."""
    out = WCS(naxis=2)
    out.wcs.ctype = "RA---TAN", "DEC--TAN"
    out.wcs.crval = request.ra, request.dec
    out.wcs.crpix = (request.width + 1) / 2, (request.height + 1) / 2
    # FITS counts rows upward; images here count downward from the north.
    out.wcs.cdelt = -request.pixel_scale / 3600, -request.pixel_scale / 3600
    v, u = np.indices((request.height, request.width))
    sky = out.all_pix2world(np.stack([u.ravel(), v.ravel()], axis=1), 0)
    return wcs.all_world2pix(sky, 0).T.reshape(2, *u.shape)


def build_level(image, level):
    for _ in range(level):
        ny, nx = (n - n % 2 for n in image.shape)
        image = ndimage.gaussian_filter(image[:ny, :nx].astype(float), 1.0)
        image = (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4
    return image


def interpolate(image, x, y):
    """Sum the products of pixels and kernel; the outermost pixels are repeated beyond the edges."""
    ny, nx = image.shape
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    total, weights = np.zeros(x.shape), np.zeros(x.shape)
    for j in range(-2, 4):
        for i in range(-2, 4):
            dx, dy = x - (column + i), y - (row + j)
            weight = np.sinc(dx) * np.sinc(dx / 3) * np.sinc(dy) * np.sinc(dy / 3)
            pixels = image[np.clip(row + j, 0, ny - 1), np.clip(column + i, 0, nx - 1)]
            with np.errstate(invalid="ignore"):
                total += weight * pixels
            weights += weight
    outside = (x < -0.5) | (x > nx - 0.5) | (y < -0.5) | (y > ny - 0.5)
    return np.where(outside, np.nan, total / weights)


def draw_exactly(planes, wcs, request):
    level = max(0, int(np.floor(np.log2(request.pixel_scale / NATIVE))))
    x, y = ((axis + 0.5) / 2**level - 0.5 for axis in locate(wcs, request))
    return np.stack([interpolate(build_level(i, level), x, y) for i in planes.values()], axis=-1)


def compare(planes, wcs, request):
    """Check fluxes and colours of a cutout; return the share of values that differ by a level."""
    exact = draw_exactly(planes, wcs, request)
    images = {band: (image, wcs) for band, image in planes.items()}
    fluxes = LocalImages(images, color_mapping="flux").fetch(request).image
    colors = LocalImages(images, jpeg=False).fetch(request).image
    np.testing.assert_array_equal(np.isnan(fluxes), np.isnan(exact))
    differences = np.abs(colors.astype(int) - flux_to_rgb(exact, "grz", axis=-1))
    assert differences.max() <= 1
    return np.mean(differences > 0)


@pytest.mark.parametrize("scale", [0.3, 0.46875, 0.6, 1.1])
@pytest.mark.parametrize("dec", [0.0, 35.0, -60.0, 72.0, 84.0, -89.0])
def test_all_declinations(planes, scale, dec):
    # As far from the middle in right ascension as a source on a brick of 0.25° may be.
    offset = (0.1 / np.cos(np.radians(dec))) if abs(dec) < 80 else 2.0
    wcs = make_wcs(150.1, dec)
    # Such a brick is larger than the images here, so its reference pixel lies far outside.
    shift = wcs.wcs_world2pix([[150.1 + offset, dec]], 1)[0] - wcs.wcs.crpix
    wcs.wcs.crpix = wcs.wcs.crpix - np.rint(shift)
    request = CutoutRequest(150.1 + offset, dec, 128, 128, scale)
    assert compare(planes, wcs, request) < 0.01


def test_scores(planes):
    """Scores of cutouts, compressed as the viewer's are, at low and the highest declinations."""
    rng = np.random.default_rng(7)
    found, exact = [], []
    for dec in (0.0, 60.0, -89.0):
        wcs = make_wcs(150.1, dec)
        images = {band: (image, wcs) for band, image in planes.items()}
        for ra, dec_source in wcs.all_pix2world(rng.uniform(150, N - 150, (8, 2)), 0):
            request = CutoutRequest(ra, dec_source, 128, 128, 0.46875)
            colors = flux_to_rgb(draw_exactly(planes, wcs, request), "grz", axis=-1)
            exact.append(compress_jpeg(colors))
            found.append(LocalImages(images).fetch(request).image)
    classifier = ShredClassifier.load()
    p_found, p_exact = (classifier.predict_proba(np.array(a))[:, 1] for a in (found, exact))
    # Some show no galaxy, and have no score.
    scored = np.isfinite(p_exact)
    np.testing.assert_array_equal(np.isfinite(p_found), scored)
    assert np.ptp(p_exact[scored]) > 0.3
    assert np.abs(p_found - p_exact)[scored].mean() < 3e-4


@pytest.mark.parametrize("angle", [0.0, 0.3, -90.2, 30.0, 180.0, 135.0])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("scale", [0.2, 0.46875, 0.55])
def test_all_orientations(planes, angle, flip, scale):
    wcs = make_wcs(10.2, 40.0, angle=angle, flip=flip)
    # Neither square nor a multiple of any tile.
    assert compare(planes, wcs, CutoutRequest(10.21, 40.01, 100, 67, scale)) < 0.01


@pytest.mark.parametrize("scale", [0.262, 0.46875, 0.6, 1.2])
@pytest.mark.parametrize("angle", [0.0, 0.2, 20.0])
def test_edges(planes, scale, angle):
    wcs = make_wcs(10.2, 40.0, angle=angle)
    for x, y in ((15, 440), (N - 20, 450), (450, 3), (440, N - 10), (12, N - 15)):
        ra, dec = wcs.all_pix2world([[x, y]], 0)[0]
        assert compare(planes, wcs, CutoutRequest(ra, dec, 128, 128, scale)) < 0.01


def make_fit(n, angle=0.002, scale=1.8, center=150.0):
    u, v = make_nodes(n, n)
    sine, cosine = scale * np.sin(angle), scale * np.cos(angle)
    x, y = center + cosine * u - sine * v, center - sine * u - cosine * v
    return fit_grids(x[None], y[None], n, n)[0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("scale", [0.262, 0.6])
def test_bad_pixels_spread_no_farther_than_the_kernel(planes, value, scale):
    image = planes["r"].copy()
    image[450, 478] = value
    wcs = make_wcs(10.2, 40.0)
    request = CutoutRequest(10.2, 40.0, 64, 64, scale)
    exact = draw_exactly({"r": image}, wcs, request)
    images = {"r": (image, wcs)}
    found = LocalImages(images, bands="r", color_mapping="flux").fetch(request).image
    assert 0 < np.count_nonzero(~np.isfinite(found)) < 300
    # A weight of zero times infinity is not a number either.
    bad = ~np.isfinite(exact)
    near = ndimage.binary_dilation(bad, np.ones((3, 3, 1)))
    assert not (~np.isfinite(found) & ~near).any()
    np.testing.assert_allclose(found[~near], exact[~near], atol=1e-3)


@pytest.mark.parametrize("angle", [0.0, 1e-4, 0.002, 0.006, 0.1])
def test_all_ways_of_interpolation_agree(angle):
    images = np.random.default_rng(1).normal(size=(2, 300, 300)).astype(np.float32)
    for n in (1, 7, 64, 101):
        fit = make_fit(n, angle)
        x, y = fit.evaluate(n, n)
        exact = np.stack([interpolate(image, x, y) for image in images])
        np.testing.assert_allclose(resample_grid(images, fit, n, n), exact, atol=5e-4)
        np.testing.assert_allclose(resample_lanczos(images, x, y), exact, atol=5e-6)


@pytest.mark.parametrize("shape", [(64, 64), (65, 300), (3, 2), (514, 7)])
def test_smoothing_in_blocks(shape):
    image = np.random.default_rng(2).normal(size=(2, *shape)).astype(np.float32)
    found = smooth_and_average(image, 1)
    exact = np.stack([build_level(plane, 1) for plane in image])
    np.testing.assert_allclose(found, exact, atol=1e-6)


def test_fits_know_their_error():
    u, v = make_nodes(128, 128)
    exact = fit_grids(300 + u[None] * 1.8 + 1e-4 * u**2, 300 - v[None] * 1.8, 128, 128)[0]
    bent = fit_grids(300 + u[None] * 1.8 + 1e-5 * u**3, 300 - v[None] * 1.8, 128, 128)[0]
    assert exact.error < 1e-9
    assert bent.error > 0.1
    assert np.isnan(fit_grids(np.where(u > 0, np.nan, u)[None], v[None], 128, 128)[0].error)
