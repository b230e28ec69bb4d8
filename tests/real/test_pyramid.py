"""Local images look like the viewer's: an exact, slow reference of its steps, and real bricks.

The reference uses neither the package nor astropy's or scipy's routines: gnomonic projections, the
Gaussian, 2 × 2 means, the Lanczos kernel and the colours are written out, pixel by pixel.
"""

import io

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from PIL import Image

from shredfinder import Cutouts
from shredfinder.cli import main
from shredfinder.cutouts import CutoutRequest, LocalImages, fetch_cutouts
from shredfinder.datasets import make_field
from shredfinder.imaging import rgb_to_flux
from shredfinder.imaging.resampling import choose_level

NATIVE = 0.262
SCALE = 0.46875
NOISE = {"g": 0.002, "r": 0.004, "z": 0.008}
RA, DEC = 150.1, 42.2


class Brick:
    """A brick of stars, a galaxy and noise, and the header that the surveys' bricks have."""

    def __init__(self, ra, dec, shape, seed=0):
        self.ra, self.dec, self.shape = ra, dec, shape
        rng = np.random.default_rng(seed)
        y, x = np.indices(shape)
        self.planes = {}
        for band, sigma in NOISE.items():
            sky = rng.normal(0, sigma, shape)
            for x0, y0, width, peak in ((90, 80, 2, 0.5), (140, 150, 12, 0.05), (3, 120, 2, 0.3)):
                sky += peak * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * width**2))
            self.planes[band] = sky.astype(np.float32)

    @property
    def header(self):
        ny, nx = self.shape
        header = fits.Header()
        header["EQUINOX"] = 2000.0
        for axis, kind, value, n in ((1, "RA---TAN", self.ra, nx), (2, "DEC--TAN", self.dec, ny)):
            header[f"CTYPE{axis}"], header[f"CRVAL{axis}"] = kind, value
            header[f"CRPIX{axis}"] = (n + 1) / 2
        header["CD1_1"], header["CD1_2"] = -NATIVE / 3600, 0.0
        header["CD2_1"], header["CD2_2"] = 0.0, NATIVE / 3600
        return header

    def locate(self, ra, dec):
        """Pixel of a position in radians, by the gnomonic projection."""
        ra0, dec0 = np.radians([self.ra, self.dec])
        cosine = np.sin(dec0) * np.sin(dec) + np.cos(dec0) * np.cos(dec) * np.cos(ra - ra0)
        xi = np.cos(dec) * np.sin(ra - ra0) / cosine
        eta = np.cos(dec0) * np.sin(dec) - np.sin(dec0) * np.cos(dec) * np.cos(ra - ra0)
        pixel = np.radians(NATIVE / 3600)
        ny, nx = self.shape
        return (nx - 1) / 2 - xi / pixel, (ny - 1) / 2 + eta / cosine / pixel


def smooth(values):
    """A line of pixels under a Gaussian of one pixel, mirrored at its ends, cut at four."""
    offsets = np.arange(-4, 5)
    kernel = np.exp(-(offsets**2) / 2.0)
    kernel /= kernel.sum()
    n = len(values)
    mirrored = np.concatenate([values[::-1], values, values[::-1]])
    return np.array([(kernel * mirrored[n + i + offsets]).sum() for i in range(n)])


def build_level(image, level):
    for _ in range(level):
        ny, nx = image.shape
        image = image[: ny - ny % 2, : nx - nx % 2].astype(float)
        image = np.array([smooth(row) for row in image])
        image = np.array([smooth(column) for column in image.T]).T
        image = (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4
    return image


def lanczos(distance):
    near = np.abs(distance) < 3
    return np.where(near, np.sinc(distance) * np.sinc(distance / 3), 0)


def interpolate(image, x, y):
    """Lanczos interpolation at one position; the outermost pixels go on beyond the edges."""
    ny, nx = image.shape
    column, row = int(np.rint(x)), int(np.rint(y))
    if not (0 <= column < nx and 0 <= row < ny):
        return np.nan
    columns, rows = column + np.arange(-3, 4), row + np.arange(-3, 4)
    weights = lanczos(y - rows)[:, None] * lanczos(x - columns)
    pixels = image[np.clip(rows, 0, ny - 1)][:, np.clip(columns, 0, nx - 1)]
    return (weights * pixels).sum() / weights.sum()


def draw_reference(bricks, request):
    """Fluxes in g, r, z of a cutout, as the viewer makes them, and its colours before the JPEG."""
    ra0, dec0 = np.radians([request.ra, request.dec])
    pixel = np.radians(request.pixel_scale / 3600)
    level = int(np.floor(np.log2(request.pixel_scale / NATIVE)))
    step = 2**level
    levels = [{band: build_level(p, level) for band, p in b.planes.items()} for b in bricks]
    fluxes = np.full((request.height, request.width, 3), np.nan)
    for row in range(request.height):
        for column in range(request.width):
            xi = -(column - (request.width - 1) / 2) * pixel
            eta = -(row - (request.height - 1) / 2) * pixel
            ra = ra0 + np.arctan2(xi, np.cos(dec0) - eta * np.sin(dec0))
            dec = np.arcsin((np.sin(dec0) + eta * np.cos(dec0)) / np.sqrt(1 + xi**2 + eta**2))
            for i, band in enumerate("grz"):
                found = []
                for brick, planes in zip(bricks, levels, strict=True):
                    x, y = ((v + 0.5) / step - 0.5 for v in brick.locate(ra, dec))
                    found.append(interpolate(planes[band], x, y))
                found = [value for value in found if np.isfinite(value)]
                if found:
                    fluxes[row, column, i] = sum(found) / len(found)
    known = np.nan_to_num(fluxes)
    # g is blue, r green and z red.
    scaled = np.stack([2.2 * known[..., 2], 3.4 * known[..., 1], 6.0 * known[..., 0]], -1) + 0.03
    scaled = np.maximum(scaled, 0)
    mean = np.maximum(scaled.mean(axis=-1, keepdims=True), 1e-6)
    colors = scaled * np.arcsinh(20 * mean) / np.sqrt(20) / mean
    return fluxes, np.trunc(np.clip(colors, 0, 1) * 255)


def offset(pixels_west, pixels_north):
    """A position in native pixels from the common centre."""
    east = -pixels_west * NATIVE / 3600 / np.cos(np.radians(DEC))
    return RA + east, DEC + pixels_north * NATIVE / 3600


def make_bricks(n=1):
    """One brick of odd size, or several that overlap by 40 pixels from east to west."""
    return [Brick(*offset((i - (n - 1) / 2) * 163, 0), (201, 203), seed=i) for i in range(n)]


def as_images(bricks):
    return {band: [(b.planes[band], make_wcs(b)) for b in bricks] for band in NOISE}


def make_wcs(brick):
    wcs = WCS(brick.header)
    wcs.wcs.radesys = "ICRS"
    return wcs


@pytest.mark.parametrize("scale", [NATIVE, SCALE, 0.524, 1.2])
@pytest.mark.parametrize(
    ("n_bricks", "where"),
    [(1, (0, 0)), (1, (85, -80)), (1, (-88, 92)), (2, (0, 0)), (2, (6.3, 95))],
    ids=["inside", "corner", "other corner", "overlap", "overlap and edge"],
)
def test_fluxes_and_colours_are_the_viewers(scale, n_bricks, where):
    bricks = make_bricks(n_bricks)
    request = CutoutRequest(*offset(*where), 20, 26, scale)
    images = as_images(bricks)
    fluxes, colors = draw_reference(bricks, request)
    found = LocalImages(images, bands="grz", color_mapping="flux").fetch(request).image
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(fluxes))
    for i, sigma in enumerate(NOISE.values()):
        assert np.nanmax(np.abs(found - fluxes)[..., i]) < 1e-4 * sigma
    image = LocalImages(images, jpeg=False).fetch(request).image
    assert np.abs(image - colors).max() <= 1


@pytest.mark.parametrize(
    ("scale", "level"),
    [(0.1, 0), (NATIVE, 0), (SCALE, 0), (0.5239, 0), (0.524, 1), (1.0479, 1), (1.048, 2)],
)
def test_level_of_the_pyramid(scale, level):
    # The scale of a header is off by rounding.
    for native in (NATIVE, NATIVE * (1 + 1e-12), NATIVE * (1 - 1e-12)):
        assert choose_level(scale, native) == level


def test_the_sky_is_not_smoothed():
    # A smoothed sky had a correlation of +0.59. Real cutouts, which show faint galaxies too, have
    # -0.05.
    sky = np.random.default_rng(1).normal(0, 0.004, (600, 600))
    brick = Brick(RA, DEC, sky.shape)
    images = dict.fromkeys("grz", (sky, make_wcs(brick)))
    request = CutoutRequest(RA, DEC, 300, 300, SCALE)
    found = LocalImages(images, bands="grz", color_mapping="flux").fetch(request).image[..., 1]
    across = np.corrcoef(found[:, :-1].ravel(), found[:, 1:].ravel())[0, 1]
    assert across == pytest.approx(-0.13, abs=0.02)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of two bricks as the survey writes them: one RICE-compressed file per band."""
    path = tmp_path_factory.mktemp("coadd")
    for i, brick in enumerate(make_bricks(2)):
        for band, plane in brick.planes.items():
            hdu = fits.CompImageHDU(
                plane, brick.header, compression_type="RICE_1", tile_shape=(100, 100)
            )
            file = path / f"{i}" / f"legacysurvey-{i}-image-{band}.fits.fz"
            file.parent.mkdir(exist_ok=True)
            hdu.writeto(file)
            header = fits.getheader(file, 1)
            assert header["EQUINOX"] == 2000
            assert "RADESYS" not in header
    return path


def test_equinox_2000_without_a_frame_is_icrs(folder):
    request = CutoutRequest(*offset(0, 0), 20, 26, SCALE)
    service = LocalImages(folder, color_mapping="flux", bands="grz")
    try:
        found = service.fetch(request).image
    finally:
        service.close()
    fluxes, _ = draw_reference(make_bricks(2), request)
    # RICE stores values to a fraction of the noise; read as FK5, the image is 0.1 pixels off.
    for i, sigma in enumerate(NOISE.values()):
        assert np.abs(found - fluxes)[..., i].max() < 0.2 * sigma


@pytest.mark.parametrize("named", ["", "FK5", "ICRS"])
def test_only_missing_frames_are_replaced(tmp_path, named):
    brick = make_bricks()[0]
    header = brick.header
    if named:
        header["RADESYS"] = named
    fits.writeto(tmp_path / "a-image-g.fits", brick.planes["g"], header)
    service = LocalImages(tmp_path, color_mapping="flux", bands="g")
    request = CutoutRequest(RA, DEC, 20, 20, SCALE)
    try:
        found = service.fetch(request).image[..., 0]
    finally:
        service.close()
    expected, _ = draw_reference([brick], request)
    same = np.abs(found - expected[..., 0]).max() < 1e-4 * NOISE["g"]
    assert same == (named != "FK5")


def test_colours_pass_through_the_viewers_jpeg():
    request = CutoutRequest(*offset(0, 0), 64, 48, SCALE)
    images = as_images(make_bricks(2))
    raw = LocalImages(images, jpeg=False).fetch(request).image
    compressed = LocalImages(images).fetch(request).image
    file = io.BytesIO()
    Image.fromarray(raw).save(file, "JPEG", quality=90, subsampling=2)
    np.testing.assert_array_equal(compressed, np.asarray(Image.open(file)))
    assert (raw != compressed).mean() > 0.3
    # Colours at half resolution: less noise in the difference of bands.
    differences = [np.diff(rgb_to_flux(image)[1:], axis=0).std() for image in (raw, compressed)]
    assert differences[1] < differences[0]


def test_the_command_line_has_the_options_of_local_images(tmp_path):
    field = make_field(size=320, n_hosts=1, random_state=1)
    for band, plane in zip(field.bands, field.fluxes, strict=True):
        path = tmp_path / "bricks" / f"b-image-{band}.fits"
        path.parent.mkdir(exist_ok=True)
        fits.writeto(path, 2 * plane, field.wcs.to_header())
    field.sources["objID", "ra", "dec"][:3].write(tmp_path / "in.fits")
    coords = SkyCoord(field.sources["ra"][:3], field.sources["dec"][:3], unit="deg")
    local = ["--service", "local", "--base-url", str(tmp_path / "bricks"), "--flux-scale", "0.5"]
    scores = []
    for jpeg, option in ((True, []), (False, ["--no-jpeg"])):
        expected = fetch_cutouts(
            coords,
            "local",
            base_url=tmp_path / "bricks",
            service_options={"flux_scale": 0.5, "jpeg": jpeg},
            progress=False,
        )
        out = tmp_path / f"{jpeg}"
        assert main(["fetch", str(tmp_path / "in.fits"), "-o", str(out), *local, *option]) == 0
        np.testing.assert_array_equal(Cutouts.read(out).images, expected.images)
        scored = tmp_path / f"{jpeg}.fits"
        argv = ["classify", str(tmp_path / "in.fits"), "-o", str(scored)]
        assert main([*argv, *local, *option]) == 0
        scores.append(Table.read(scored)["p_cnn"])
    assert (scores[0] != scores[1]).any()


def test_the_option_is_for_local_images(tmp_path, capsys):
    Table({"ra": [1.0], "dec": [2.0]}).write(tmp_path / "in.fits")
    argv = ["classify", str(tmp_path / "in.fits"), "-o", str(tmp_path / "out.fits"), "--no-jpeg"]
    assert main(argv) == 1
    assert "the service 'legacy' has no option jpeg" in capsys.readouterr().err
    assert main([*argv, "--cutouts", str(tmp_path), "--rate", "0"]) == 1
    assert "leave out --no-jpeg and --rate" in capsys.readouterr().err


def test_positions_agree_with_astropy():
    brick = make_bricks()[0]
    x, y = make_wcs(brick).world_to_pixel(SkyCoord(RA + 0.004, DEC - 0.003, unit="deg"))
    found = brick.locate(*np.radians([RA + 0.004, DEC - 0.003]))
    np.testing.assert_allclose(found, (x, y), atol=1e-7)
