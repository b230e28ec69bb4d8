"""Each remote service, with its own parameter names."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from shredfinder.cutouts import (
    HiPS,
    LegacyViewer,
    PanSTARRS,
    SDSSFrames,
    available_services,
    fetch_cutouts,
    get_service,
)
from shredfinder.exceptions import ServiceError, ShredfinderWarning
from tests.conftest import needs
from tests.cutouts.conftest import JPEG_NOISE, differences, host_centred, scattered
from tests.cutouts.loopback import FAULTS, Faults, LoopbackServer, render_fluxes

LASTING = ("html", "blank", "wrong size", "clipped")
NAMES = ("legacy", "hips", "sdss", "ps1")


def fetch(name, server, coords, **options):
    if name == "hips":  # astroquery's module of hips2fits imports it
        pytest.importorskip("matplotlib")
    options = {"cache": False, "rate": None, "progress": False} | options
    return fetch_cutouts(coords, service=name, base_url=server.url, **options)


@pytest.mark.parametrize("name", NAMES)
def test_single_cutouts_show_their_source(name, server):
    coords = scattered(6)
    cutouts = fetch(name, server, coords)
    assert cutouts.good.all()
    assert differences(cutouts, coords).max() < JPEG_NOISE
    assert cutouts.service.startswith(name)
    assert len(server.requests) == (12 if name == "ps1" else 6)


@pytest.mark.parametrize("name", ["hips", "sdss"])
def test_shared_images(name, server):
    coords = host_centred(1, 12)
    cutouts = fetch(name, server, coords)
    assert cutouts.good.all()
    assert differences(cutouts, coords).max() < 5
    assert len(server.requests) < 4


@pytest.mark.parametrize(
    ("name", "dec", "n_doubts"),
    # A status 404 is believed at the third time, an empty list of images or a tile with a text at
    # once.
    [("sdss", -60, 2), ("sdss", -40, 0), ("ps1", -60, 0)],
)
@pytest.mark.parametrize("size", [64, 128])
def test_outside_the_footprint(name, dec, n_doubts, size, server, tmp_path):
    flag = "no coverage"
    coords = SkyCoord([10, 20], [dec, 30], unit="deg")
    for n_requests in (3, 1) if name == "ps1" else (2 + n_doubts, 1 + n_doubts):
        server.requests.clear()
        cutouts = fetch(name, server, coords, cache=tmp_path, size=size)
        assert cutouts.flags.tolist() == [flag, ""]
        assert len(server.requests) == n_requests
    server.requests.clear()
    with pytest.warns(ShredfinderWarning, match="1 row rests on the cache"):
        cutouts = fetch(name, server, coords, cache=tmp_path, size=size)
    assert cutouts.flags.tolist() == [flag, ""]
    assert not server.requests


@pytest.mark.parametrize("name", NAMES)
def test_faults(name, quick_retry):
    coords = scattered(40, seed=4)
    passing = [fault for fault in FAULTS if fault not in (*LASTING, "stall")]
    # Low enough that no request fails eight times.
    faults = Faults(dict.fromkeys(passing, 0.02), retry_after=0.05, seed=1)
    with LoopbackServer(faults=faults) as server:
        cutouts = fetch(name, server, coords, retry=quick_retry)
    assert cutouts.good.all()
    assert differences(cutouts, coords).max() < JPEG_NOISE


@pytest.mark.filterwarnings("ignore:no cutout was fetched")
def test_unknown_hips_has_no_image(server):
    layer = "CDS/P/Nowhere/color"
    assert fetch("hips", server, scattered(1), layer=layer).flags.tolist() == ["no coverage"]
    with pytest.raises(ValueError, match="full identifier"):
        HiPS(layer="PanSTARRS")


@needs("matplotlib")
@pytest.mark.parametrize("group", [False, True])
def test_single_band_hips_are_stacks_of_fluxes(server, tmp_path, group):
    coords = host_centred(1, 4)
    layers = ["CDS/P/PanSTARRS/DR1/g", "CDS/P/PanSTARRS/DR1/r"]
    service = HiPS(layer=layers, bands="gr", image_format="fits", base_url=server.url)
    options = {"rate": None, "progress": False, "cache": tmp_path, "group": group}
    cutouts = fetch_cutouts(coords, service=service, **options)
    assert cutouts.good.all()
    assert (cutouts.bands, cutouts.images.dtype) == (("g", "r"), np.float32)
    for image, c in zip(cutouts.images, coords, strict=True):
        truth = render_fluxes(c.ra.deg, c.dec.deg, 128, 128, 0.46875, 2)
        assert np.abs(image - truth).mean() < (0.02 if group else 1e-5)
    n_asked = len(server.requests)
    assert n_asked == (2 if group else 8)
    again = fetch_cutouts(coords, service=service, **options)
    np.testing.assert_array_equal(again.images, cutouts.images)
    assert len(server.requests) == n_asked


def make_stacks(name, server):
    if name == "ps1":
        return PanSTARRS(image_format="fits", base_url=server.url)
    return SDSSFrames(base_url=server.url, search_url=server.url)


@pytest.mark.parametrize("name", ["ps1", "sdss-frames"])
@pytest.mark.parametrize("group", [False, True])
def test_five_bands_are_stacks_of_fluxes(server, tmp_path, name, group):
    # Two in the middle of a field, one at the corner of four fields.
    coords = SkyCoord([200.01, 200.0105, 0.001], [0.03, 0.0305, 0.001], unit="deg")
    service = make_stacks(name, server)
    options = {"rate": None, "progress": False, "cache": tmp_path, "group": group, "size": 64}
    cutouts = fetch_cutouts(coords, service=service, **options)
    assert cutouts.flags.tolist() == [""] * 3
    assert cutouts.images.shape == (3, 64, 64, 5)
    assert (cutouts.images.dtype, cutouts.color_mapping) == (np.float32, "flux")
    for image, c in zip(cutouts.images, coords, strict=True):
        truth = render_fluxes(c.ra.deg, c.dec.deg, 64, 64, 0.46875, 5)
        # Averaging native pixels smooths a little.
        assert np.abs(image - truth).mean() < (0.03 if group else 0.01)
    n_asked = len(server.requests)
    again = fetch_cutouts(coords, service=service, offline=True, **options)
    np.testing.assert_array_equal(again.images, cutouts.images)
    assert len(server.requests) == n_asked
    if name == "ps1":
        assert n_asked == (2 if group else 3) * 6


@pytest.mark.parametrize("name", ["ps1", "sdss-frames"])
def test_five_bands_outside_the_footprint(server, name):
    coords = SkyCoord([10, 20.01], [-60, 30.03], unit="deg")
    service = make_stacks(name, server)
    options = {"rate": None, "progress": False, "cache": False, "size": 32}
    cutouts = fetch_cutouts(coords, service=service, **options)
    assert cutouts.flags.tolist() == ["no coverage", ""]
    assert np.isnan(cutouts.images[0]).all()


@pytest.mark.parametrize("name", ["ps1", "sdss-frames"])
def test_five_bands_with_faults(quick_retry, name):
    passing = [fault for fault in FAULTS if fault not in (*LASTING, "stall")]
    faults = Faults(dict.fromkeys(passing, 0.03), retry_after=0.05, seed=2)
    # In the middle of fields of the simulated SDSS.
    coords = SkyCoord((np.arange(4) * 100 + 0.5) * 0.06, np.arange(4) * 0.6 + 0.03, unit="deg")
    with LoopbackServer(faults=faults) as server:
        cutouts = fetch_cutouts(
            coords, service=make_stacks(name, server), rate=None, progress=False, cache=False,
            size=32, retry=quick_retry,
        )  # fmt: skip
    assert sum(faults.counts[fault] for fault in passing) > 0
    assert cutouts.good.all()
    for image, c in zip(cutouts.images, coords, strict=True):
        truth = render_fluxes(c.ra.deg, c.dec.deg, 32, 32, 0.46875, 5)
        assert np.abs(image - truth).mean() < 0.01


def test_stacks_need_valid_options():
    with pytest.raises(ValueError, match="choose image_format='fits'"):
        PanSTARRS(bands="gri")
    with pytest.raises(ValueError, match="some of g, r, i, z and y"):
        PanSTARRS(image_format="fits", bands="u")
    with pytest.raises(ValueError, match="dr13 to dr17"):
        SDSSFrames(layer="dr7")
    with pytest.raises(ValueError, match="some of u, g, r, i and z"):
        SDSSFrames(bands="y")


def test_single_band_hips_need_their_bands():
    with pytest.raises(ValueError, match="one band for each of 2 HiPS"):
        HiPS(layer="CDS/P/PanSTARRS/DR1/g,CDS/P/PanSTARRS/DR1/r", image_format="fits", bands="g")
    with pytest.raises(ValueError, match="choose image_format='fits'"):
        HiPS(layer=["CDS/P/PanSTARRS/DR1/g", "CDS/P/PanSTARRS/DR1/r"])
    with pytest.raises(ValueError, match="'jpg' or 'fits'"):
        HiPS(image_format="png")


def test_sizes_that_would_be_clipped_are_refused(server):
    with pytest.raises(ValueError, match="64 to 2048 px"):
        fetch("sdss", server, scattered(1), size=32)
    assert not server.requests


def test_services_are_found_by_name():
    assert {"legacy", "hips", "sdss", "ps1"} <= set(available_services())
    assert get_service("legacy", layer="ls-dr9-south").layer == "ls-dr9-south"
    # A survey's name selects its service and layer.
    assert [get_service(name).name for name in ("legacy-dr9", "ps1-dr2", "sdss-dr17")] == [
        "legacy",
        "ps1",
        "sdss",
    ]
    assert get_service("legacy-dr9", layer="ls-dr10").layer == "ls-dr10"
    with pytest.raises(ValueError, match="'sdss' has no option bands: choose from layer, base_url"):
        get_service("sdss", bands="xyz")
    with pytest.raises(ValueError, match="layer cannot be combined with a service object"):
        get_service(LegacyViewer(), layer="ls-dr9")


def test_other_colors_than_dr9s_have_other_mappings():
    assert LegacyViewer(layer="ls-dr10").color_mapping == "legacy-griz"
    assert LegacyViewer(layer="ls-dr10-grz").color_mapping == "legacy-grz"
    with pytest.raises(ValueError, match="image_format"):
        LegacyViewer(image_format="png")
    with pytest.raises(ValueError, match="colours of their layer"):
        LegacyViewer(bands="gi")


def test_base_urls_without_a_path_are_completed():
    assert (
        LegacyViewer(base_url="http://localhost:8000/").base_url == "http://localhost:8000/viewer"
    )
    assert LegacyViewer(base_url="http://localhost/mirror/").base_url == "http://localhost/mirror"
    assert HiPS(base_url="https://alaskybis.cds.unistra.fr").base_url == (
        "https://alaskybis.cds.unistra.fr/hips-image-services/hips2fits"
    )


def test_invalid_base_urls_end_the_run():
    with pytest.raises(ServiceError, match="not a valid address"):
        fetch_cutouts(scattered(1), base_url="nonsense", cache=False, progress=False)


def test_sdss_images_are_uint8_irg(server):
    cutouts = fetch("sdss", server, scattered(2), size=64)
    assert cutouts.images.dtype == np.uint8
    assert "".join(cutouts.bands) == "irg"
    assert cutouts.color_mapping == "sdss-gri"


# Positions well inside each footprint; run by ``pytest --remote-data``.
@pytest.mark.remote_data
@pytest.mark.parametrize("name", [*NAMES, "sia", "sdss-frames"])
def test_live(name):
    coords = SkyCoord([184.75, 184.76], [47.3, 47.31], unit="deg")
    cutouts = fetch_cutouts(coords, service=name, cache=False, progress=False)
    assert cutouts.good.all()
