"""Photometry of merged galaxies in images."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.wcs import WCS

from shredfinder import Cutouts, ShredTable
from shredfinder.cutouts import CutoutFetcher, CutoutService, LocalImages
from shredfinder.exceptions import NoCoverageError
from shredfinder.hosts import find_parents, measure_galaxies, merge_shreds
from shredfinder.imaging import ImageFiles, flux_to_rgb, rgb_to_flux
from shredfinder.surveys import get_survey

pytest.importorskip("photutils", minversion="3")
pytest.importorskip("skimage")

SCALE = 0.5
RA, DEC = 150.0, 2.0
# Total fluxes in nanomaggies of the galaxy in g, r and z.
TOTAL = {"g": 150.0, "r": 250.0, "z": 350.0}
NOISE = 0.004


def make_wcs(size, scale=SCALE):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix = (RA, DEC), ((size + 1) / 2,) * 2
    wcs.wcs.cdelt = -scale / 3600, scale / 3600
    return wcs


def disc(size, *, length=3.0, x=0.0, y=0.0, axis_ratio=0.6, scale=SCALE, angle=30.0):
    """An exponential disc with unit flux; lengths and offsets (right, up) in arcsec."""
    yy, xx = (np.indices((size, size)) - (size - 1) / 2) * scale
    dx, dy = xx - x, yy - y
    turn = np.radians(angle)
    along = dx * np.cos(turn) + dy * np.sin(turn)
    across = (dy * np.cos(turn) - dx * np.sin(turn)) / axis_ratio
    image = np.exp(-np.hypot(along, across) / length)
    return image / (2 * np.pi * length**2 * axis_ratio / scale**2)


def blob(size, x, y, fwhm=1.2, scale=SCALE):
    yy, xx = (np.indices((size, size)) - (size - 1) / 2) * scale
    image = np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * (fwhm / 2.355) ** 2))
    return image / image.sum()


def make_images(size=361, *, extra=0.0, sky=0.0, scale=SCALE, seed=1):
    """Images of the disc, with something added (a fraction of its light), in three bands."""
    rng = np.random.default_rng(seed)
    wcs = make_wcs(size, scale)
    image = disc(size, scale=scale) + extra
    return {
        band: (total * image + sky + NOISE * rng.standard_normal(image.shape), wcs)
        for band, total in TOTAL.items()
    }


def make_table(cls=Table, shift=(0.0, 0.0)):
    """A nucleus with a third of the light, two shreds with a tenth, and a galaxy beside it."""
    east = np.array([0.0, 3.0, -4.0, -40.0]) + shift[0]
    north = np.array([0.0, 1.5, -2.0, 10.0]) + shift[1]
    table = cls(
        {
            "objID": [11, 12, 13, 14],
            "ra": (RA + east / 3600 / np.cos(np.radians(DEC))) * u.deg,
            "dec": (DEC + north / 3600) * u.deg,
            "shape_r": np.array([2.0, 1.0, 1.0, 1.0]) * u.arcsec,
            "p_cnn": np.array([0.02, 0.97, 0.9, 0.1], dtype=np.float32),
        }
    )
    for band, total in TOTAL.items():
        table[f"flux_{band}"] = total * np.array([0.33, 0.1, 0.1, 0.02])
        table[f"flux_ivar_{band}"] = 100.0
        table[f"mw_transmission_{band}"] = 0.9
    return table


def merge(table=None, images=None, **kwargs):
    table = make_table() if table is None else table
    images = make_images() if images is None else images
    return merge_shreds(table, "image", images=images, **kwargs)


def delta_mag(merged, row=0, band="r"):
    return -2.5 * np.log10(merged[f"flux_{band}"][row] / TOTAL[band])


@pytest.mark.parametrize("sky", [0.0, 0.05])
def test_total_flux_sky_and_half_light_radius(sky):
    merged = merge(images=make_images(sky=sky))
    assert merged["objID"].tolist() == [11, 14]
    for band in TOTAL:
        assert delta_mag(merged, band=band) == pytest.approx(0, abs=0.03)
    # 1.678 scale lengths.
    assert merged["half_light_radius"][0] == pytest.approx(5.03, rel=0.05)
    assert merged["shape_r"][0] == pytest.approx(merged["half_light_radius"][0])
    assert merged["merge_flag"].tolist() == ["", ""]
    error = 1 / np.sqrt(merged["flux_ivar_r"][0])
    assert 0.1 < error < 10


def test_schema_is_that_of_the_catalogue_method():
    table = make_table()
    summed, measured = merge_shreds(table), merge(table)
    assert [name for name in measured.colnames if name != "half_light_radius"] == summed.colnames
    assert measured["half_light_radius"].unit == u.arcsec
    for name in ("objID", "n_shreds", "shred_ids", "merge_kind"):
        assert measured[name].tolist() == summed[name].tolist()
    # A galaxy without shreds keeps its row.
    assert measured["flux_r"][1] == table["flux_r"][3]
    assert np.isnan(measured["half_light_radius"][1])


def test_method_of_the_table_class():
    merged = make_table(ShredTable).merge_shreds("image", images=make_images())
    assert isinstance(merged, ShredTable)
    assert delta_mag(merged) == pytest.approx(0, abs=0.03)


def test_neighbours_are_masked_and_pieces_are_not():
    size = 361
    # West is right: the galaxy at 40″ west, a bright star and an uncatalogued galaxy.
    others = 0.02 * disc(size, length=0.8, x=40, y=10) + 0.3 * blob(size, -14, -6)
    others += 0.1 * disc(size, length=1.0, x=5, y=25)
    # A piece with a tenth of the light.
    piece = 0.1 * blob(size, -3.0, 1.5, fwhm=1.5)
    merged = merge(images=make_images(extra=others + piece))
    assert delta_mag(merged) == pytest.approx(-2.5 * np.log10(1.1), abs=0.04)


def test_uncertainty_grows_with_the_light_of_neighbours():
    size = 361
    alone = merge()
    # A bright galaxy 22″ away, whose light reaches beyond its mask.
    table = make_table()
    table["ra"][3] = RA - 22 / 3600 / np.cos(np.radians(DEC))
    table["dec"][3], table["shape_r"][3] = DEC, 4.0
    merged = merge(table, make_images(extra=1.5 * disc(size, length=2.4, x=22)))
    error, before = (1 / np.sqrt(result["flux_ivar_r"][0]) for result in (merged, alone))
    assert error > 3 * before
    assert abs(merged["flux_r"][0] - TOTAL["r"]) < 3 * error
    assert merged["merge_flag"][0] == "bright neighbour"
    # A hundredth of the flux at least.
    assert before > 0.01 * TOTAL["r"]


def test_pixel_scale_of_the_images_does_not_matter():
    merged = merge(images=make_images(601, scale=0.3))
    assert delta_mag(merged) == pytest.approx(0, abs=0.03)


def test_large_galaxy_gets_a_larger_image():
    sizes = []

    class Recorder(LocalImages):
        def fetch_many(self, requests, client=None):
            sizes.extend(request.width * request.pixel_scale for request in requests)
            return super().fetch_many(requests, client)

    size = 481
    wcs = make_wcs(size)
    rng = np.random.default_rng(1)
    image = 2000 * disc(size, length=8.0) + NOISE * rng.standard_normal((size, size))
    table = make_table()
    source = Recorder(dict.fromkeys("grz", (image, wcs)), color_mapping="flux")
    merged = merge(table, source)
    assert len(sizes) > 1
    assert sizes == sorted(sizes)
    assert -2.5 * np.log10(merged["flux_r"][0] / 2000) == pytest.approx(0, abs=0.04)
    assert merged["half_light_radius"][0] == pytest.approx(13.4, rel=0.06)


def test_galaxy_at_the_edge_of_the_images_is_flagged():
    merged = merge(images=make_images(61))
    assert "edge" in merged["merge_flag"][0]
    assert np.isfinite(merged["flux_r"][0])


def test_extinction_is_handled_once():
    table = make_table()
    for band in TOTAL:
        table[f"dered_mag_{band}"] = 22.5 - 2.5 * np.log10(table[f"flux_{band}"] / 0.9)
    merged = merge(table)
    expected = 22.5 - 2.5 * np.log10(merged["flux_r"][0] / 0.9)
    assert merged["dered_mag_r"][0] == pytest.approx(expected)


def test_corrected_magnitudes_need_the_extinction():
    table = make_table()["objID", "ra", "dec", "p_cnn"]
    for band in TOTAL:
        table[band] = 22.5 - 2.5 * np.log10(make_table()[f"flux_{band}"])
        table[f"{band}_err"] = 0.01
    parents = find_parents(table)
    with pytest.raises(ValueError, match="add a column ebv"):
        merge(table, parents=parents)
    table["ebv"] = 0.1
    merged = merge(table, parents=parents)
    # A(r) / E(B-V) = 2.165 in the Legacy Surveys.
    expected = 22.5 - 2.5 * np.log10(TOTAL["r"]) - 0.2165
    assert merged["r"][0] == pytest.approx(expected, abs=0.03)
    assert 0 < merged["r_err"][0] < 0.1


def test_recovered_galaxy_is_measured_even_from_one_piece():
    table = make_table()
    table["p_cnn"][0] = 0.9
    merged = merge(table)
    assert merged["merge_kind"].tolist() == ["recovered", "galaxy"]
    assert delta_mag(merged) == pytest.approx(0, abs=0.03)
    single = merge(table[[1, 3]])
    assert single["merge_kind"].tolist() == ["recovered", "galaxy"]
    assert delta_mag(single) == pytest.approx(0, abs=0.03)


class Service(CutoutService):
    """Images of which some positions have none."""

    name, remote, color_mapping, bands = "test", False, "flux", ("r",)
    flux_pixel_scale = SCALE

    def fetch(self, request, client=None):
        raise NoCoverageError("outside the footprint")


def test_rows_without_an_image_keep_the_sum_and_are_flagged():
    table = make_table()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        merged = merge(table, Service())
    assert merged["merge_flag"].tolist() == ["no image: no coverage, sum", ""]
    assert merged["flux_r"][0] == pytest.approx(0.53 * TOTAL["r"])
    assert np.isnan(merged["half_light_radius"][0])


def test_rows_without_a_position_are_flagged():
    table = make_table()
    table["ra"][1], table["shape_r"][0] = np.nan, 4.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        merged = merge(table)
    # The lost piece is a group of its own; the galaxy is measured from its other entries.
    assert merged["objID"].tolist() == [11, 12, 14]
    assert merged["merge_flag"].tolist() == ["", "no position, sum", ""]
    assert delta_mag(merged) == pytest.approx(0, abs=0.03)


def test_empty_sky_is_not_detected():
    merged = merge(make_table(shift=(30.0, -50.0)))
    assert merged["merge_flag"].tolist()[0] == "not detected, sum"


def test_bands_without_images_keep_the_sum():
    images = make_images()
    del images["z"]
    merged = merge(images=LocalImages(images, color_mapping="flux", bands="gr"))
    assert merged["merge_flag"][0] == "sum z"
    assert merged["flux_z"][0] == pytest.approx(0.53 * TOTAL["z"])
    assert delta_mag(merged) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("kind", ["flux", "legacy-grz"])
def test_cutouts_of_the_rows(kind):
    # One cutout per row, of fluxes per native pixel, or in colours.
    table = make_table()
    fetcher = CutoutFetcher(LocalImages(make_images(), color_mapping="flux"), size=160,
                            pixel_scale=SCALE)  # fmt: skip
    cutouts = fetcher.fetch(table, progress=False)
    images = cutouts.images * (0.262 / SCALE) ** 2
    facts = {"pixel_scale": SCALE, "bands": cutouts.bands, "color_mapping": "flux"}
    if kind != "flux":
        images = np.stack([flux_to_rgb(image, cutouts.bands, axis=-1) for image in images])
        facts |= {"bands": "zrg", "color_mapping": kind}
    merged = merge(table, Cutouts(images, **facts))
    assert delta_mag(merged) == pytest.approx(0, abs=0.05)
    with pytest.raises(ValueError, match="got 2 cutouts for 4 rows"):
        merge(table, Cutouts(images[:2], **facts))


def test_folder_of_images(tmp_path):
    from astropy.io import fits

    for band, (image, wcs) in make_images().items():
        header = wcs.to_header()
        header["FILTER"] = band
        fits.PrimaryHDU(image.astype(np.float32), header).writeto(tmp_path / f"field-{band}.fits")
    merged = merge(images=tmp_path)
    assert delta_mag(merged) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("/no/such/folder", "there is no image file"),
        ("ps1", "unknown|nanomaggies"),
        (
            {"g": make_images()["g"], "r": make_images(601, scale=0.3)["r"]},
            "different pixel scales",
        ),
    ],
)
def test_unusable_sources_of_images_are_refused(images, message):
    with pytest.raises((ValueError, OSError), match=message):
        merge(images=images)


def test_images_need_the_image_method():
    with pytest.raises(ValueError, match="method='image'"):
        merge_shreds(make_table(), images=make_images())


def test_measured_galaxies_for_figures():
    table = make_table()
    parents = find_parents(table)
    lights = measure_galaxies(table, make_images(), parents=parents, progress=False)
    assert [light.name for light in lights] == ["11"]
    light = lights[0]
    assert light.mag == pytest.approx(22.5 - 2.5 * np.log10(250), abs=0.03)
    assert light.before == pytest.approx(22.5 - 2.5 * np.log10(82.5), abs=0.15)
    assert light.axis_ratio == pytest.approx(0.6, abs=0.05)
    # 30 degrees from x (west) towards north is 60 degrees from north towards west.
    assert light.position_angle.to_value(u.deg) == pytest.approx(120, abs=3)
    # Galaxies without shreds can be measured, too.
    both = measure_galaxies(table, make_images(), parents=parents, ids=[11], progress=False)
    assert len(both) == 1
    with pytest.raises(KeyError, match="99"):
        measure_galaxies(table, make_images(), parents=parents, ids=[99])
    assert not measure_galaxies(table, make_images(), parents=parents, largest=0, progress=False)


# Galaxies of the training data, each with a shred of it that has a cutout of its own.
CHECKOUT = Path(__file__).parents[2]
DATA = next(
    (
        folder
        for folder in (CHECKOUT / "../shared/data", CHECKOUT / "../../shared/data")
        if (folder / "labels.ecsv").is_file()
    ),
    None,
)


@pytest.mark.slow
@pytest.mark.skipif(DATA is None, reason="needs the training data in ../shared/data")
def test_real_galaxies_have_the_same_flux_in_two_cutouts():
    truth = Table.read(DATA / "labels.ecsv")
    coords = SkyCoord(truth["ra"], truth["dec"], unit="deg")
    first, second, _, _ = coords.search_around_sky(coords, 12 * u.arcsec)
    label = np.asarray(truth["final4"])
    pair = (label[first] == "galaxy") & (label[second] == "shred")
    rows = np.stack([first[pair], second[pair]], axis=1)[:6].ravel()
    main = np.arange(0, rows.size, 2)
    table = Table({"objID": np.arange(rows.size)})
    table["ra"], table["dec"] = truth["ra"][rows], truth["dec"][rows]
    survey = get_survey("legacy")
    images = ImageFiles(
        [DATA / "cutouts" / f"{name}.png" for name in truth["objID"][rows]],
        size=(survey.size, survey.size),
        pixel_scale=survey.pixel_scale,
        bands=survey.bands,
        color_mapping=survey.color_mapping,
    )
    found = []
    # The cutouts of the galaxies, and those of their shreds, which are then the brightest entries.
    for kinds, index, mags in (
        (("self", "row"), main, (18.0, 19.0)),
        (("orphan", "orphan"), main + 1, (19.0, 18.0)),
    ):
        table["r"] = np.tile(mags, main.size)
        parents = Table({"id": table["objID"], "parent_id": np.repeat(index, 2)})
        parents["parent_kind"] = np.tile(kinds, main.size)
        parents["parent_index"] = np.repeat(index, 2)
        lights = measure_galaxies(table, images, parents=parents, progress=False)
        found.append({light.row // 2: light for light in lights})
    assert all(len(lights) == main.size for lights in found)
    mags, others = (np.array([lights[i].mags for i in sorted(lights)]) for lights in found)
    assert np.median(np.abs(mags - others)) < 0.03
    assert np.abs(mags - others).max() < 0.15
    # Channels are z, r and g: galaxies of the local Universe.
    assert ((mags[:, 2] - mags[:, 1] > 0) & (mags[:, 2] - mags[:, 1] < 1.2)).all()
    assert ((mags[:, 1] > 12) & (mags[:, 1] < 18)).all()


def test_clipped_colours_lose_light():
    # White is 20.1 mag/arcsec² in r: light above it is lost.
    white = rgb_to_flux(np.full((1, 3), 255, dtype=np.uint8))
    limit = 22.5 - 2.5 * np.log10(white[1, 0] / 0.262**2)
    assert limit == pytest.approx(20.1, abs=0.05)
    bright = np.full((3, 1, 1), 5.0)
    again = rgb_to_flux(flux_to_rgb(bright, "grz"))
    assert (again < bright).all()
