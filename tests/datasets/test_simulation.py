import builtins
import time

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from shredfinder.datasets import make_field
from shredfinder.imaging import rgb_to_flux


@pytest.fixture(scope="module")
def field():
    return make_field(random_state=7)


def _isolated(field, distance=16):
    places = np.column_stack([field.sources["ra"], field.sources["dec"]])
    stars = np.column_stack([field.stars["ra"], field.stars["dec"]])
    here = SkyCoord(places, unit="deg")
    there = SkyCoord(np.concatenate([places, stars]), unit="deg")
    separations = here[:, None].separation(there[None]).arcsec
    separations[np.arange(len(here)), np.arange(len(here))] = np.inf
    return np.flatnonzero(separations.min(axis=1) > distance)


def test_shapes_and_kinds(field):
    assert field.fluxes.shape == field.model.shape == (3, 1024, 1024)
    assert field.fluxes.dtype == field.model.dtype == np.float32
    assert np.isfinite(field.fluxes).all()
    assert np.isfinite(field.model).all()
    assert field.bands == ("g", "r", "z")
    assert field.native_per_pixel == pytest.approx((0.46875 / 0.262) ** 2)


def test_catalogue_is_complete_and_has_both_classes(field):
    sources = field.sources
    assert 50 <= len(sources) <= 250
    share = (sources["label"] == "shred").mean()
    assert 0.2 <= share <= 0.6
    assert set(sources["label"]) == {"galaxy", "shred"}
    for name in ("ra", "dec", "g", "r", "z", "radius"):
        assert np.isfinite(np.array(sources[name])).all()
    assert len(set(sources["objID"])) == len(sources)
    assert sources["ra"].unit == u.deg
    assert sources["radius"].unit == u.arcsec
    assert all(sources[name].description for name in sources.colnames)


def test_labels_follow_from_the_types(field):
    sources = field.sources
    shred = sources["label"] == "shred"
    assert set(sources["type"][shred]) <= {"knot", "arm", "disc end", "halo"}
    assert set(sources["type"][~shred]) <= {"host", "satellite", "background"}
    assert (sources["type"] == "host").sum() == 9


def test_shreds_lie_within_their_hosts_and_off_their_centers(field):
    sources = field.sources
    rows = {identifier: i for i, identifier in enumerate(sources["objID"])}
    coords = SkyCoord(sources["ra"], sources["dec"])
    for i in np.flatnonzero(sources["label"] == "shred"):
        host = rows[sources["host_id"][i]]
        assert sources["type"][host] == "host"
        separation = coords[i].separation(coords[host]).arcsec
        # The half-light radius is 1.678 scale lengths; discs end near five of them.
        assert 2 < separation < 3.2 * sources["radius"][host]
        # A piece lies on its host's light.
        x, y = (round(float(v)) for v in field.wcs.world_to_pixel(coords[i]))
        assert field.model[1, y, x] > 0.01


def test_background_galaxies_have_no_host(field):
    background = field.sources["type"] == "background"
    assert (field.sources["host_id"][background] == -1).all()


def test_centroids_are_where_the_wcs_says():
    offsets = []
    for seed in range(3):
        field = make_field(size=640, n_hosts=0, random_state=seed, noise=False)
        for i in _isolated(field):
            # Large discs are lopsided, by their arms and knots.
            if field.sources["radius"][i] > 2.5:
                continue
            x, y = (float(v) for v in field.wcs.world_to_pixel(SkyCoord(*_place(field, i))))
            left, bottom = round(x) - 4, round(y) - 4
            part = field.model[1, bottom : bottom + 9, left : left + 9].astype(float)
            part = part - part.min()
            rows, columns = np.indices(part.shape)
            offsets.append((part * columns).sum() / part.sum() + left - x)
            offsets.append((part * rows).sum() / part.sum() + bottom - y)
    assert len(offsets) >= 20
    assert np.abs(offsets).max() < 0.5
    assert np.abs(np.median(offsets)) < 0.1


def test_aperture_magnitudes_agree_with_the_catalogue():
    residuals = []
    for seed in range(6):
        field = make_field(size=640, n_hosts=0, random_state=seed, noise=False)
        sources = field.sources
        yy, xx = np.indices(field.model.shape[1:])
        for i in _isolated(field, distance=14):
            if sources["r"][i] > 20 or sources["radius"][i] > 2:
                continue
            x, y = field.wcs.world_to_pixel(SkyCoord(*_place(field, i)))
            distance = np.hypot(xx - x, yy - y) * field.pixel_scale
            for plane, band in zip(field.model, field.bands, strict=True):
                sky = np.median(plane[(distance > 9) & (distance < 12)])
                flux = (plane[distance < 8].astype(float) - sky).sum() * field.native_per_pixel
                residuals.append(22.5 - 2.5 * np.log10(flux) - sources[band][i])
    assert len(residuals) >= 9
    # Faint background galaxies add light, and a tenth of an elliptical's is outside the aperture.
    assert np.abs(residuals).max() < 0.25
    assert abs(np.median(residuals)) < 0.12


def test_magnitudes_of_shreds_are_aperture_magnitudes():
    field = make_field(size=768, n_hosts=6, random_state=5, noise=False)
    # The magnitudes exclude stars: ignore shreds with a star nearby.
    stars = SkyCoord(field.stars["ra"], field.stars["dec"])
    checked = 0
    for i in np.flatnonzero(field.sources["label"] == "shred"):
        here, radius = SkyCoord(*_place(field, i)), field.sources["radius"][i]
        if here.separation(stars).arcsec.min() < 15 + 2 * radius:
            continue
        x, y = field.wcs.world_to_pixel(here)
        yy, xx = np.indices(field.model.shape[1:])
        inside = np.hypot(xx - x, yy - y) * field.pixel_scale < 2 * radius
        flux = field.model[1][inside].sum() * field.native_per_pixel
        # Small apertures depend on the weighting of the pixels at their edge.
        assert 22.5 - 2.5 * np.log10(flux) == pytest.approx(field.sources["r"][i], abs=0.25)
        checked += 1
    assert checked >= 3


def test_noise_has_the_depth(field):
    noise = field.fluxes - field.model
    empty = field.model[1] < 0.001
    assert empty.mean() > 0.3
    for plane, sigma in zip(noise, (0.0026, 0.0046, 0.0096), strict=True):
        assert plane[empty].std() == pytest.approx(sigma, rel=0.6)
        assert plane[empty].mean() == pytest.approx(0, abs=0.02 * sigma)


def test_noise_is_correlated_as_in_real_cutouts():
    # In real cutouts, the brightness of neighbours on the sky has a correlation of -0.05: the
    # median of 500, measured like this.
    correlations = []
    for image in make_field(random_state=7).cutouts().images:
        z, r, g = rgb_to_flux(image)
        brightness = 2.2 * z + 3.4 * r + 6 * g
        sky = np.abs(r - np.median(r)) < 0.02
        sky &= np.abs(_smooth(r) - np.median(r)) < 0.004
        if sky.mean() < 0.5:
            continue
        brightness -= np.median(brightness[sky])
        pairs = sky[:, 1:] & sky[:, :-1]
        product = (brightness[:, 1:] * brightness[:, :-1])[pairs].mean()
        correlations.append(product / (brightness[sky] ** 2).mean())
    assert len(correlations) > 20
    assert np.median(correlations) == pytest.approx(-0.05, abs=0.02)


def _smooth(image):
    for _ in range(3):
        for axis in (0, 1):
            image = (np.roll(image, 1, axis) + 2 * image + np.roll(image, -1, axis)) / 4
    return image


def test_bright_light_is_noisier(field):
    noise = (field.fluxes - field.model)[1]
    bright = field.model[1] > 0.5
    assert noise[bright].std() > 1.5 * noise[field.model[1] < 0.001].std()


def test_the_same_seed_gives_the_same_field():
    first, second = (make_field(size=320, n_hosts=1, random_state=2) for _ in range(2))
    np.testing.assert_array_equal(first.fluxes, second.fluxes)
    assert first.sources.pformat() == second.sources.pformat()


def test_another_seed_gives_another_field():
    first, second = (make_field(size=320, n_hosts=1, random_state=i) for i in (1, 2))
    assert np.abs(first.fluxes - second.fluxes).max() > 0.01


def test_generators_are_used_and_the_global_state_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    made = make_field(size=320, n_hosts=1, random_state=np.random.default_rng(2))
    np.testing.assert_array_equal(
        made.fluxes, make_field(size=320, n_hosts=1, random_state=2).fluxes
    )
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_every_host_has_shreds():
    broken = hosts = 0
    for seed in range(3):
        sources = make_field(size=640, n_hosts=3, random_state=seed).sources
        shreds = set(sources["host_id"][sources["label"] == "shred"])
        identifiers = sources["objID"][sources["type"] == "host"]
        hosts += len(identifiers)
        broken += len(shreds & set(identifiers))
    assert hosts == 9
    assert broken >= 6


def test_shreds_are_bluer_than_galaxies_in_their_cutouts(field):
    cutouts = field.cutouts()
    z, r, g = rgb_to_flux(cutouts.images[:, 62:66, 62:66]).mean(axis=(2, 3))
    color = np.where((r > 0.01) & (g > 0.005), -2.5 * np.log10(np.maximum(g, 1e-4) / r), np.nan)
    shred = field.sources["label"] == "shred"
    assert np.nanmedian(color[shred]) < np.nanmedian(color[~shred])
    assert 0.0 < np.nanmedian(color[shred]) < 0.7
    assert np.isfinite(z).all()


def test_no_sources_at_all():
    field = make_field(size=256, n_hosts=0, random_state=0)
    assert set(field.sources["label"]) <= {"galaxy"}
    assert len(field.cutouts()) == len(field.sources)


def test_many_hosts_in_a_small_field():
    field = make_field(size=300, n_hosts=12, random_state=0)
    assert (field.sources["type"] == "host").sum() == 12
    assert field.cutouts().good.all()


def test_center():
    center = SkyCoord(10 * u.deg, 85 * u.deg)
    field = make_field(size=320, n_hosts=1, random_state=0, center=center)
    assert field.wcs.pixel_to_world(159.5, 159.5).separation(center) < 0.01 * u.arcsec
    assert field.cutouts().good.all()


def test_a_field_is_simulated_quickly():
    start = time.perf_counter()
    make_field(random_state=0)
    # About a second; the limit leaves room for busy machines.
    assert time.perf_counter() - start < 20


def test_neither_scipy_nor_matplotlib_is_imported(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.split(".")[0] in ("scipy", "matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert len(make_field(size=320, n_hosts=2, random_state=3).cutouts())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 100}, "at least 256 pixels"),
        ({"size": 512.0}, "whole number"),
        ({"n_hosts": -1}, "n_hosts must be"),
        ({"n_hosts": 2.5}, "n_hosts must be"),
        ({"center": (150, 2)}, "single SkyCoord"),
        ({"center": SkyCoord([1, 2], [1, 2], unit="deg")}, "single SkyCoord"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_field(**options)


def _place(field, i):
    return field.sources["ra"][i] * u.deg, field.sources["dec"][i] * u.deg
