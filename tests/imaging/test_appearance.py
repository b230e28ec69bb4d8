import numpy as np
import pytest

from shredfinder import Cutouts
from shredfinder.imaging import flux_to_rgb, measure_appearance


def _disc(mag, radius, n=128, scale=0.46875):
    """Create a cutout of a nearly uniform disc of a given r magnitude and radius in arcsec."""
    y, x = np.mgrid[:n, :n] - (n - 1) / 2
    inside = np.hypot(x, y) * scale <= radius
    flux = 10 ** (0.4 * (22.5 - mag)) / inside.sum() / (scale / 0.262) ** 2
    # A uniform centre would be flagged as not covered.
    r = np.where(inside, flux * (1 + 0.05 * (-1) ** np.indices((n, n)).sum(0)), 0)
    image = flux_to_rgb(np.stack([r * 3.4 / 6, r, r * 3.4 / 2.2]), "grz")
    # Nor would a grey image be of three bands.
    image[0, 0, 0] += 1
    return image


def test_discs_of_known_brightness_and_size():
    images = np.stack([_disc(19, 2.5), _disc(18, 2.5), _disc(16, 9), np.full((128, 128, 3), 32)])
    found = measure_appearance(Cutouts.of_survey("legacy-dr9", images.astype(np.uint8)))
    mags = np.asarray(found["central_mag"])
    # Eight bits limit the accuracy.
    np.testing.assert_allclose(mags[:2], [19, 18], atol=0.05)
    np.testing.assert_allclose(mags[2], 16 + 2.5 * np.log10(9**2 / 3**2), atol=0.1)
    np.testing.assert_allclose(found["isophotal_radius"][:3], [2.5, 2.5, 9], atol=0.5)
    assert np.isnan(mags[3])
    assert np.isnan(found["isophotal_radius"][3])


def test_only_pixels_connected_to_the_centre_count():
    image = _disc(18, 2)
    image[5:40, 5:40] = image[64, 64]
    found = measure_appearance(Cutouts.of_survey("legacy-dr9", image[np.newaxis]))
    np.testing.assert_allclose(found["isophotal_radius"], 2, atol=0.5)
    floats = Cutouts.of_survey("legacy-dr9", image[np.newaxis] / np.float32(255))
    assert measure_appearance(floats)["central_mag"][0] == pytest.approx(found["central_mag"][0])


def test_other_colors_are_refused():
    image = _disc(18, 2)[np.newaxis]
    with pytest.raises(
        ValueError, match="band 'r' with the colour mapping 'sdss-gri': use cutouts with one of"
    ):
        measure_appearance(Cutouts.of_survey("sdss-dr17", image))
    with pytest.raises(ValueError, match="band 'i' with the colour mapping 'legacy-grz'"):
        measure_appearance(Cutouts.of_survey("legacy-dr9", image), band="i")
