import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord

from shredfinder.datasets import make_field
from shredfinder.imaging import flux_to_rgb


@pytest.fixture(scope="module")
def field():
    return make_field(size=512, n_hosts=3, random_state=3)


def test_image_is_made_with_the_viewers_colors(field):
    np.testing.assert_array_equal(field.image, flux_to_rgb(field.fluxes, "grz"))
    assert field.image.dtype == np.uint8


def test_north_is_up_and_east_is_left(field):
    here = field.wcs.pixel_to_world(255, 255)
    above, left = field.wcs.pixel_to_world(255, 355), field.wcs.pixel_to_world(155, 255)
    assert here.position_angle(above).to_value(u.deg) == pytest.approx(0, abs=0.01)
    assert here.position_angle(left).to_value(u.deg) == pytest.approx(90, abs=0.01)
    assert here.separation(above).to_value(u.arcsec) == pytest.approx(100 * 0.46875, rel=1e-4)


def test_cutouts_match_the_survey(field):
    cutouts = field.cutouts()
    assert len(cutouts) == len(field.sources)
    assert cutouts.good.all()
    assert cutouts.size == (128, 128)
    assert cutouts.pixel_scale == 0.46875
    assert cutouts.bands == ("z", "r", "g")
    assert cutouts.color_mapping == "legacy-grz"
    assert cutouts.images.dtype == np.uint8


def test_cutout_has_its_first_row_in_the_north_and_first_column_in_the_east(field):
    center = field.wcs.pixel_to_world(200.5, 200.5)
    image = field.cutouts(center, compress=False).images[0]
    np.testing.assert_array_equal(image, field.image[137:265, 137:265][::-1])
    # On the sky: a mark 20 arcsec north and 10 arcsec east is up and left.
    marked = make_field(size=512, n_hosts=0, random_state=0)
    marked.fluxes[:] = 0
    mark = center.directional_offset_by(0 * u.deg, 20 * u.arcsec)
    mark = mark.directional_offset_by(90 * u.deg, 10 * u.arcsec)
    x, y = marked.wcs.world_to_pixel(mark)
    marked.fluxes[:, round(float(y)), round(float(x))] = 100
    image = marked.cutouts(center, compress=False).images[0]
    row, column = np.argwhere(image.min(axis=-1) == 255)[0]
    assert row == pytest.approx(63.5 - 20 / 0.46875, abs=1)
    assert column == pytest.approx(63.5 - 10 / 0.46875, abs=1)


def test_sources_are_at_the_centers_of_their_cutouts():
    # Without noise and neighbours, the light's centroid is where the catalogue says.
    field = make_field(size=512, n_hosts=0, random_state=4, noise=False)
    cutouts = field.cutouts(compress=False)
    bright = np.flatnonzero((field.sources["r"] < 19) & (_distance_to_others(field) > 10))
    assert len(bright) >= 2
    for i in bright:
        near = cutouts.images[i][52:76, 52:76].astype(float).sum(axis=-1)
        near -= np.median(near)
        near[near < 0.3 * near.max()] = 0
        rows, columns = np.indices(near.shape)
        assert (near * rows).sum() / near.sum() == pytest.approx(11.5, abs=0.75)
        assert (near * columns).sum() / near.sum() == pytest.approx(11.5, abs=0.75)


def test_cutouts_beyond_the_edge_have_no_coverage(field):
    size = field.fluxes.shape[-1]
    x = [63.5, 62.4, size - 64.5, size - 63.4, 255, -500]
    cutouts = field.cutouts(field.wcs.pixel_to_world(x, [255] * 6))
    assert cutouts.flags.tolist() == ["", "no coverage", "", "no coverage", "", "no coverage"]
    assert (cutouts.images[[1, 3, 5]] == 0).all()
    assert cutouts.images[0].std() > 0


def test_invalid_positions_are_flagged(field):
    ra = [np.nan, field.sources["ra"][0]] * u.deg
    cutouts = field.cutouts(SkyCoord(ra, [2.2, field.sources["dec"][0]] * u.deg))
    assert cutouts.flags.tolist() == ["no position", ""]


def test_the_other_side_of_the_sky_has_no_coverage(field):
    behind = SkyCoord(330.1 * u.deg, -2.2 * u.deg)
    assert not field.cutouts(behind).good.any()


def test_size_of_cutouts(field):
    cutouts = field.cutouts(field.wcs.pixel_to_world([255], [255]), size=33)
    assert cutouts.size == (33, 33)


def test_compression_changes_colors_more_than_brightness(field):
    center = field.wcs.pixel_to_world(255, 255)
    plain = field.cutouts(center, compress=False).images[0].astype(float)
    compressed = field.cutouts(center).images[0].astype(float)
    brightness = np.abs((compressed - plain) @ [0.299, 0.587, 0.114]).mean()
    assert 0.5 < brightness < 5
    assert np.abs((compressed - plain)[..., 0]).mean() > 2 * brightness


def test_repr_says_what_it_is(field):
    assert repr(field).startswith("<SimulatedField: 512×512 px at 0.46875 arcsec/px, bands grz, ")


@pytest.mark.parametrize("size", [0, -3, 12.5, "large"])
def test_bad_sizes_are_refused(field, size):
    with pytest.raises(ValueError, match="number of pixels"):
        field.cutouts(size=size)


def test_positions_must_be_coordinates(field):
    with pytest.raises(TypeError, match="SkyCoord, not list"):
        field.cutouts([(150.0, 2.0)])


def _distance_to_others(field):
    """Distance in arcsec from each source to the nearest other one, stars included."""
    sources, stars = field.sources, field.stars
    here = SkyCoord(sources["ra"], sources["dec"])
    everything = SkyCoord(
        np.concatenate([sources["ra"], stars["ra"]]),
        np.concatenate([sources["dec"], stars["dec"]]),
        unit="deg",
    )
    separations = here[:, None].separation(everything[None]).arcsec
    return np.where(separations < 0.01, np.inf, separations).min(axis=1)
