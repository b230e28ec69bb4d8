"""FITS images as people write them: scaled values, extensions, bands, units, maps beside them."""

import io
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.utils.masked import Masked

from shredfinder.cutouts import LocalImages, fetch_cutouts
from shredfinder.cutouts.decoding import decode_fits
from shredfinder.cutouts.image_headers import convert_unit, read_bands, read_unit
from shredfinder.cutouts.services.base import CutoutRequest
from shredfinder.exceptions import BadResponseError, ShredfinderWarning

from .test_local import STAR, make_image, make_wcs

N = 200
WCS = make_wcs(n=N)
SKY = make_image(WCS, N, sigma=3.0) + np.random.default_rng(0).normal(0, 0.01, (N, N))
LEVEL = {"g": 0.3, "r": 1.0, "z": 2.0, "i": 1.5}


def write(path, data, *, header=(), name=None, wcs=WCS, primary=()):
    """Write an image to a file; a name makes it an extension."""
    head = wcs.to_header() if wcs is not None else fits.Header()
    head.update(dict(header))
    hdus = [fits.PrimaryHDU(data, head)]
    if name is not None:
        hdus = [fits.PrimaryHDU(), fits.ImageHDU(data, head, name=name)]
    hdus[0].header.update(dict(primary))
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def cut(images, coords=STAR, *, size=33, **kwargs):
    """Return the fluxes of one cutout, checked to be good."""
    service = LocalImages(images, **({"color_mapping": "flux"} | kwargs))
    try:
        cutouts = fetch_cutouts(coords.reshape(-1), service=service, size=size, progress=False)
    finally:
        service.close()
    assert cutouts.flags.tolist() == [""] * len(cutouts)
    return cutouts.images[0] if len(cutouts) == 1 else cutouts.images


def make_scaled(dtype, path, compress):
    """Write an image as scaled integers, with a blank pixel in a corner of the cutout."""
    scale, zero = {"i2": (0.001, 5.0), "u2": (1, 32768), "u4": (1, 2**31), "u1": (0.02, -1.0)}[
        dtype
    ]
    if dtype.startswith("u") and dtype != "u1":
        raw = np.round((SKY + 1) * 1000).astype(dtype)
        truth = raw.astype(float)
        hdu = fits.CompImageHDU(raw, WCS.to_header()) if compress else fits.ImageHDU(raw)
        hdu.header.update(WCS.to_header())
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
        return truth
    raw = np.round((SKY - zero) / scale).clip(*([0, 254] if dtype == "u1" else [-32767, 32767]))
    blank = 255 if dtype == "u1" else -32768
    raw[90, 90] = blank
    raw = raw.astype(dtype)
    keywords = {"BSCALE": scale, "BZERO": zero, "BLANK": blank}
    if compress:
        hdu = fits.CompImageHDU(raw, WCS.to_header())
        buffer = io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(buffer)
        # astropy does not write scaled compressed images, but fpack does.
        with fits.open(io.BytesIO(buffer.getvalue()), disable_image_compression=True) as hdus:
            hdus[1].header.update(keywords)
            hdus.writeto(path)
    else:
        header = fits.PrimaryHDU(raw, WCS.to_header()).header
        header.update(keywords)
        values = raw.astype(raw.dtype.newbyteorder(">")).tobytes()
        path.write_bytes(header.tostring().encode() + values + b"\0" * (-len(values) % 2880))
    truth = raw * scale + zero
    truth[90, 90] = np.nan
    return truth


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", ["i2", "u2", "u4", "u1"])
def test_scaled_integers(tmp_path, dtype, compress):
    truth = make_scaled(dtype, tmp_path / "a.fits", compress)
    found = cut({"g": tmp_path / "a.fits"})
    expected = cut({"g": (truth, WCS)})
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_scaled_cubes(tmp_path):
    cube = np.stack([SKY * LEVEL[band] for band in "grz"])
    raw = np.round(cube / 0.001).astype(">i2")
    header = fits.PrimaryHDU(raw, WCS.to_header()).header
    header.update(BSCALE=0.001, BZERO=0.0)
    content = header.tostring().encode() + raw.tobytes()
    (tmp_path / "c.fits").write_bytes(content + b"\0" * (-len(content) % 2880))
    found = cut(tmp_path / "c.fits", bands="grz")
    np.testing.assert_allclose(found[16, 16] / found[16, 16, 1], [0.3, 1, 2], rtol=0.01)
    assert cut(tmp_path)[16, 16, 2] == found[16, 16, 2]


@pytest.mark.parametrize(
    "keywords",
    [
        lambda order: {"BANDS": order},
        lambda order: {"BANDS": ",".join(order)},
        lambda order: {f"BAND{i}": band for i, band in enumerate(order)},
        lambda order: {f"BAND{i}": band for i, band in enumerate(order, 1)},
        lambda order: {f"FILTER{i}": band for i, band in enumerate(order, 1)},
    ],
)
@pytest.mark.parametrize("order", ["grz", "zrg", "rgz", "zirg"])
def test_cubes_in_any_order(tmp_path, keywords, order):
    cube = np.stack([SKY * LEVEL[band] for band in order])
    write(tmp_path / "c.fits", cube, header=keywords(order))
    path = tmp_path / "c.fits"
    for images in (tmp_path, path, dict.fromkeys("grz", path)):
        found = cut(images, bands="grz")[16, 16]
        np.testing.assert_allclose(found / found[1], [0.3, 1, 2], rtol=1e-5)


def test_other_bands_and_contradictions_are_refused(tmp_path):
    write(tmp_path / "c.fits", np.stack([SKY] * 3), header={"BANDS": "gri"})
    with pytest.raises(ValueError, match="no image in z, only in g, r, i"):
        LocalImages(tmp_path)
    with pytest.raises(ValueError, match="given as z, but its planes are g, r, i"):
        LocalImages({"z": tmp_path / "c.fits"}, color_mapping="flux")
    with pytest.raises(ValueError, match="contradicts itself"):
        read_bands({"BANDS": "grz", "BAND0": "z", "BAND1": "r", "BAND2": "g"}, 3)


def test_all_ccds_of_a_mosaic_and_no_thumbnail(tmp_path):
    places = SkyCoord([150.1, 150.2], [2.2, 2.2], unit="deg")
    wcs = [make_wcs(place, N) for place in places]
    thumbnail = fits.PrimaryHDU(np.ones((3, 9, 9), "f4"))
    ccds = [
        fits.ImageHDU(SKY * factor, w.to_header(), name=f"N{factor}")
        for factor, w in zip((1, 2), wcs, strict=True)
    ]
    preview = fits.ImageHDU(
        np.ones((20, 20)), make_wcs(n=20, scale=2.6).to_header(), name="PREVIEW"
    )
    for suffix, hdus in (("a", [thumbnail, *ccds]), ("b", [fits.PrimaryHDU(), preview, *ccds])):
        path = tmp_path / f"{suffix}.fits"
        fits.HDUList(hdus).writeto(path)
        found = cut({"g": path}, places)[:, 16, 16, 0]
        assert found[1] / found[0] == pytest.approx(2, rel=1e-3)


def test_extensions_of_one_file(tmp_path):
    header = WCS.to_header()
    maps = [fits.ImageHDU(np.full((N, N), 7.0), header, name=name)
            for name in ("WHT", "ERR", "DQ", "IVAR", "MASK", "VAR_RNOISE")]  # fmt: skip
    path = tmp_path / "s.fits"
    fits.HDUList([fits.PrimaryHDU(), *maps, fits.ImageHDU(SKY, header, name="SCI")]).writeto(path)
    expected = cut({"g": (SKY, WCS)})
    np.testing.assert_allclose(cut({"g": path}), expected, rtol=1e-5)
    # One extension per band; astropy writes their names in capitals.
    bands = [fits.ImageHDU(SKY * LEVEL[band], header, name=band) for band in "zgr"]
    fits.HDUList([fits.PrimaryHDU(), *bands]).writeto(path, overwrite=True)
    for images in (path, tmp_path, dict.fromkeys("grz", path)):
        found = cut(images, bands="grz")[16, 16]
        np.testing.assert_allclose(found / found[1], [0.3, 1, 2], rtol=1e-5)
    fits.HDUList([fits.PrimaryHDU(), *maps]).writeto(path, overwrite=True)
    with pytest.raises(ValueError, match="holds no image of the sky, but only weight"):
        LocalImages({"g": path})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("stack.g.weight.fits", {}),
        ("stack-g-invvar.fits", {}),
        ("stack_g_maskbits.fits.gz", {}),
        ("stack-nexp-g.fits", {}),
        ("stack.g.wt.fits", {}),
        ("stack-model-g.fits", {}),
        ("weights/stack.g.fits", {}),
        ("c4d_180101_oow_g_v1.fits", {}),
        ("other.g.fits", {"name": "WHT"}),
        ("other.g.fits", {"header": {"IMAGETYP": "invvar"}}),
        ("other.g.fits", {"primary": {"PRODTYPE": "dqmask"}, "name": "x"}),
        ("other.g.fits", {"header": {"IMAGETYP": "Flat Field"}}),
        ("other.g.fits", {"header": {"BUNIT": "1/nanomaggy^2"}}),
        ("other.g.fits", {"header": {"BUNIT": "s"}}),
    ],
)
def test_maps_beside_the_images_are_no_images(tmp_path, name, options):
    expected = cut({"g": (SKY, WCS)})
    write(tmp_path / "stack.g.fits", SKY)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    write(tmp_path / name, np.full((N, N), 7.0), **options)
    np.testing.assert_allclose(cut(tmp_path, bands="g"), expected, rtol=1e-5)


def test_patterns_and_unknown_maps(tmp_path):
    expected = cut({"g": (SKY, WCS)})
    write(tmp_path / "stack.g.fits", SKY)
    write(tmp_path / "stack.g.weight.fits", SKY)
    np.testing.assert_allclose(cut({"g": str(tmp_path / "stack.g*.fits")}), expected, rtol=1e-5)
    write(tmp_path / "stack.g.foo.fits", SKY)
    with pytest.warns(
        ShredfinderWarning, match=r"stack\.g\.f.* show the same part of the sky in g"
    ):
        cut(tmp_path, bands="g")
    (tmp_path / "maps").mkdir()
    write(tmp_path / "maps" / "a-invvar-g.fits", SKY)
    with pytest.raises(ValueError, match=r"holds no FITS images .only maps, such as 'a-invvar-g"):
        LocalImages(tmp_path / "maps")


@pytest.mark.parametrize(
    ("header", "factor"),
    [
        ({"BUNIT": "nanomaggy"}, 1),
        ({"BUNIT": "nanomaggies", "MAGZERO": 22.5}, 1),
        ({"BUNIT": "adu", "MAGZERO": 25.0}, 0.1),
        ({"BUNIT": "electron/s", "MAGZP": 25.0}, 0.1),
        ({"PHOTZP": 30.0}, 1e-3),
        ({"ZEROPNT": 27.5, "BUNIT": "ADU"}, 1e-2),
        ({"FLUXMAG0": 1e10}, 0.1),
        ({"BUNIT": "nJy"}, 1e-3 / 3.6307805),
        ({"BUNIT": "uJy/pixel"}, 1 / 3.6307805),
        ({"BUNIT": "Jy"}, 1e6 / 3.6307805),
        ({"BUNIT": "maggies"}, 1e9),
    ],
)
def test_units_become_nanomaggies(tmp_path, header, factor):
    for primary in (False, True):
        where = {"primary": header, "name": "x"} if primary else {"header": header}
        path = write(tmp_path / "m.fits", SKY, **where)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = cut({"g": path})
        said = [str(w.message) for w in caught if "converted to nanomaggies" in str(w.message)]
        assert len(said) == (factor != 1)
        np.testing.assert_allclose(
            found, cut({"g": (SKY * factor, WCS)}), rtol=1e-4, atol=1e-4 * factor
        )


def test_surface_brightness_needs_no_pixel_size(tmp_path):
    coarse = make_wcs(n=N, scale=0.4)
    area = (0.262 * u.arcsec) ** 2
    per_area = SKY / area.to_value(u.sr) * 3.6307805e-12  # MJy/sr for nanomaggies per native pixel
    images = {}
    for band in "grz":
        images[band] = write(
            tmp_path / f"{band}.fits", per_area, wcs=coarse, header={"BUNIT": "MJy/sr"}
        )
    with pytest.warns(ShredfinderWarning, match="is in 'MJy/sr'"):
        found = cut(images, color_mapping="legacy-grz")
    expected = cut(dict.fromkeys("grz", (SKY, coarse)), color_mapping="legacy-grz", flux_scale=1)
    assert np.abs(found.astype(int) - expected).max() <= 2


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"BUNIT": "adu"}, "BUNIT = 'adu' and has no magnitude zero point"),
        ({"BUNIT": "ELECTRONS/S"}, "BUNIT = 'ELECTRONS/S' and has no"),
        ({"BUNIT": "mag/arcsec2"}, "BUNIT = 'mag/arcsec2'"),
        ({"BUNIT": "Jy/beam"}, "BUNIT = 'Jy/beam'"),
        ({"BUNIT": "furlong"}, "BUNIT = 'furlong'"),
        ({"BUNIT": "nanomaggy", "MAGZERO": 30.0}, "but MAGZERO = 30 says another unit"),
        ({"MAGZP": 20.0, "MAGSYS": "Vega"}, "Vega"),
        ({"PHOTFLAM": 1e-19}, "needs BUNIT, PHOTPLAM and EXPTIME"),
        ({"FPA.ZP": 25.0}, "FPA.ZP"),
    ],
)
def test_other_units_are_refused_by_name(tmp_path, header, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy names long keywords
        path = write(tmp_path / "m.fits", SKY, header=header)
    with pytest.raises(ValueError, match=r"m\.fits") as caught:
        LocalImages(dict.fromkeys("grz", path))
    assert message in str(caught.value)
    assert "give flux_scale" in str(caught.value)
    assert cut(dict.fromkeys("grz", path), color_mapping="legacy-grz", flux_scale=1).any()
    with pytest.warns(ShredfinderWarning, match="values of all images are kept"):
        cut({"g": path})


def test_tiles_of_different_zero_points(tmp_path):
    east = SkyCoord(150.2, 2.2, unit="deg")
    paths = []
    for i, (place, zero) in enumerate(((STAR, 25.0), (east, 27.5))):
        data = SKY * 10 ** (0.4 * (zero - 22.5))
        paths.append(
            write(tmp_path / f"{i}.fits", data, wcs=make_wcs(place, N), header={"MAGZERO": zero})
        )
    places = SkyCoord([STAR, east])
    with pytest.warns(ShredfinderWarning, match=r"multiplied by 0\.01 to 0\.1"):
        found = cut({"g": paths}, places)
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)
    with pytest.warns(ShredfinderWarning, match="have different units"):
        cut({"g": paths}, places, flux_scale=1)


def test_hubble_zero_points():
    unit = read_unit({"BUNIT": "ELECTRONS/S", "PHOTFLAM": 7.0e-20, "PHOTPLAM": 8045.0})
    assert 22.5 - 2.5 * np.log10(unit.nanomaggies) == pytest.approx(25.95, abs=0.05)
    total = read_unit({"BUNIT": "ELECTRONS", "PHOTFLAM": 7e-20, "PHOTPLAM": 8045.0, "EXPTIME": 100})
    assert total.nanomaggies == pytest.approx(unit.nanomaggies / 100)
    assert convert_unit(u.Unit("nmgy")).nanomaggies == pytest.approx(1)


def test_masks_and_units_of_arrays():
    mask = np.zeros((N, N), bool)
    mask[130:, :] = True
    wrong = np.where(mask, 1e6, SKY)
    expected = cut({"g": (np.where(mask, np.nan, SKY), WCS)}, size=129)
    assert np.isnan(expected).any()
    for array in (
        np.ma.array(wrong, mask=mask),
        Masked(wrong, mask),
        CCDData(wrong, mask=mask, unit="nmgy"),
    ):
        np.testing.assert_array_equal(cut({"g": (array, WCS)}, size=129), expected)
    with pytest.warns(ShredfinderWarning, match="converted to nanomaggies"):
        found = cut({"g": (SKY * 3.6307805 * u.uJy, WCS)})
    np.testing.assert_allclose(found, cut({"g": (SKY, WCS)}), rtol=1e-4, atol=1e-5)


def test_a_band_that_contradicts_the_header(tmp_path):
    paths = {b: write(tmp_path / f"{b}.fits", SKY, header={"FILTER": f"{b} DECam"}) for b in "gr"}
    with pytest.warns(ShredfinderWarning, match=r"was given as g, but by its header it shows r"):
        cut({"g": paths["r"], "r": paths["r"]})


def test_viewer_cubes_in_another_order_and_scaled():
    request = CutoutRequest(150.1, 2.2, N, N, 0.262)
    cube = np.stack([SKY * LEVEL[band] for band in "zrg"])
    buffer = io.BytesIO()
    hdu = fits.PrimaryHDU(cube.astype("f4"), WCS.to_header())
    hdu.header["BANDS"] = "zrg"
    hdu.scale("int16", bscale=0.001, bzero=0.0)
    hdu.writeto(buffer)
    image = decode_fits(buffer.getvalue(), request, "grz")
    np.testing.assert_allclose(image[::-1][..., 0], SKY * 0.3, atol=0.001)
    np.testing.assert_allclose(image[::-1][..., 2], SKY * 2, atol=0.001)
    with pytest.raises(BadResponseError, match="requested the bands g, r, i, got an image in z, r"):
        decode_fits(buffer.getvalue(), request, "gri")
