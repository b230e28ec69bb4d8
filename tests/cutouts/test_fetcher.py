"""The configured fetcher: validation, defaults of a model, pickling."""

import pickle

import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from shredfinder import conf
from shredfinder.cutouts import (
    CutoutFetcher,
    CutoutStream,
    LegacyViewer,
    LocalImages,
    RetryPolicy,
    fetch_cutouts,
)
from tests.cutouts.conftest import scattered
from tests.cutouts.test_local import make_image, make_wcs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"service": "nowhere"}, "no cutout service 'nowhere'"),
        ({"service": "legacy", "size": 4000}, "images of 1 to 3000 px per side"),
        ({"service": "ps1", "group": True}, "cannot share an image"),
        ({"service": "ps1", "layer": "ls-dr9"}, "layer must be 'stack'"),
        ({"size": 0}, "size"),
        ({"pixel_scale": -1 * u.arcsec}, "pixel_scale must be positive"),
        ({"cache": 3}, "cache must be a folder"),
        ({"group": "yes"}, "group must be True, False or 'auto'"),
        ({"rate": "fast"}, "positive number of requests per second, not 'fast'"),
        ({"timeout": 0}, "timeout must be a positive number of seconds, not 0"),
        ({"time_limit": -5.0}, "time_limit must be a positive number of seconds"),
        ({"max_workers": 0}, "max_workers"),
        ({"retry": 3}, "retry must be a RetryPolicy, not 3"),
    ],
)
def test_options_are_validated_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        CutoutFetcher(**options)


def test_unknown_options_are_named():
    with pytest.raises(TypeError, match="'speed'"):
        fetch_cutouts(scattered(1), speed=3)


def test_a_model_fills_open_options():
    fetcher = CutoutFetcher().with_defaults(size=64, pixel_scale=0.5, survey="ps1-dr2")
    assert (fetcher.size, fetcher.pixel_scale) == (64, 0.5)
    assert (fetcher.cutout_service.name, fetcher.cutout_service.layer) == ("ps1", "stack")
    # Given options win, and so does a configured service.
    given = CutoutFetcher("sdss", size=128, pixel_scale=0.4)
    assert given.with_defaults(size=64, pixel_scale=0.5, survey="ps1-dr2") == given
    layer = CutoutFetcher(layer="ls-dr10-grz").with_defaults(survey="legacy-dr9")
    assert layer.cutout_service.layer == "ls-dr10-grz"
    with conf.set_temp("service", "sdss"):
        assert CutoutFetcher().with_defaults(survey="ps1-dr2").cutout_service.name == "sdss"
    with pytest.raises(ValueError, match="64 to 2048 px"):
        CutoutFetcher("sdss").with_defaults(size=32)


def test_local_images_are_opened_once():
    calls = []

    class Counted(LocalImages):
        def __init__(self, *args, **kwargs):
            calls.append(1)
            super().__init__(*args, **kwargs)

    from shredfinder.cutouts.services.base import _SERVICES

    wcs = make_wcs()
    images = {band: (make_image(wcs), wcs) for band in "grz"}
    _SERVICES["counted"] = lambda **_: Counted(images)
    try:
        fetcher = CutoutFetcher("counted").with_defaults(size=32)
        coords = SkyCoord([150.1], [2.2], unit="deg")
        assert len(fetcher.fetch(coords, progress=False)) == 1
        assert len(fetcher.fetch(coords, progress=False)) == 1
    finally:
        del _SERVICES["counted"]
    assert len(calls) == 1


def test_a_fetcher_can_be_pickled():
    fetcher = CutoutFetcher("legacy", layer="ls-dr10-grz", retry=RetryPolicy(attempts=2))
    assert fetcher.cutout_service is fetcher.cutout_service
    copy = pickle.loads(pickle.dumps(fetcher))
    assert copy == fetcher
    assert copy.cutout_service is not fetcher.cutout_service
    assert copy.cutout_service.layer == "ls-dr10-grz"


def test_functions_accept_a_fetcher(server):
    fetcher = CutoutFetcher(base_url=server.viewer, cache=False, size=32, rate=None)
    coords = scattered(5)
    for cutouts in (
        fetcher.fetch(coords, progress=False),
        fetch_cutouts(coords, fetcher, progress=False),
        fetch_cutouts(coords, service=fetcher, progress=False, timeout=5),
    ):
        assert cutouts.size == (32, 32)
        assert cutouts.good.all()
    with fetcher.stream(coords, chunk=2, progress=False) as stream:
        assert isinstance(stream, CutoutStream)
        assert [len(cutouts) for cutouts in stream] == [2, 2, 1]
    with pytest.raises(ValueError, match="layer cannot be combined with a service object"):
        fetch_cutouts(coords, LegacyViewer(base_url=server.viewer), layer="ls-dr9")
