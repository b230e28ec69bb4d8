import numpy as np
import pytest

from shredfinder.training import augment_image


def gaussian(size, x, y, sigma=3.0):
    yy, xx = np.mgrid[:size, :size]
    return np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * sigma**2)).astype(np.float32)


def centroid(image):
    yy, xx = np.indices(image.shape)
    return (image * xx).sum() / image.sum(), (image * yy).sum() / image.sum()


@pytest.mark.parametrize("seed", range(5))
def test_the_center_stays_at_the_center(seed):
    image = gaussian(64, 31.5, 31.5)[..., np.newaxis]
    view = augment_image(image, np.random.default_rng(seed), max_shift=0.0)[..., 0]
    assert centroid(view) == pytest.approx((31.5, 31.5), abs=0.05)


def test_images_are_rotated_and_scaled_about_the_center():
    image = gaussian(64, 31.5 + 6, 31.5)[..., np.newaxis]
    angles, radii = [], []
    for seed in range(200):
        view = augment_image(image, np.random.default_rng(seed), max_scale=1.2, max_shift=0.0)
        x, y = np.subtract(centroid(view[..., 0]), 31.5)
        angles.append(np.arctan2(y, x))
        radii.append(np.hypot(x, y))
    counts, _ = np.histogram(angles, bins=4, range=(-np.pi, np.pi))
    assert counts.min() > 30
    assert 6 / 1.2 - 0.1 < min(radii) < 5.5
    assert 6.5 < max(radii) < 6 * 1.2 + 0.1


def test_mirror_images_occur():
    # The sense of rotation of three blobs distinguishes an image from its mirror image.
    image = np.stack([gaussian(64, 45, 31), gaussian(64, 31, 48), gaussian(64, 15, 31)], axis=-1)
    senses = set()
    for seed in range(20):
        view = augment_image(image, np.random.default_rng(seed), max_shift=0.0)
        a, b, c = (np.array(centroid(view[..., k])) for k in range(3))
        senses.add(np.sign((b - a)[0] * (c - b)[1] - (b - a)[1] * (c - b)[0]))
    assert senses == {-1, 1}


def test_shifts_stay_within_their_bound():
    image = gaussian(64, 31.5, 31.5)[..., np.newaxis]
    moves = [
        np.subtract(
            centroid(augment_image(image, np.random.default_rng(seed), max_shift=1.0)[..., 0]), 31.5
        )
        for seed in range(100)
    ]
    assert 0.8 < np.abs(moves).max() < 1.5


def test_bytes_and_floats_are_treated_alike():
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    of_bytes = augment_image(image, np.random.default_rng(7))
    of_floats = augment_image(image.astype(np.float32) / 255, np.random.default_rng(7))
    assert (of_bytes.dtype, of_floats.dtype) == (np.uint8, np.float32)
    np.testing.assert_allclose(of_bytes / 255, of_floats, atol=1.01 / 255)


def test_corners_are_filled_from_the_image():
    image = np.full((32, 32, 3), 100, np.uint8)
    for seed in range(20):
        assert (augment_image(image, np.random.default_rng(seed)) == 100).all()


@pytest.mark.parametrize("shape", [(32, 24, 3), (6, 40, 1), (3, 3, 3)])
def test_what_is_outside_is_a_reflection(monkeypatch, shape):
    image = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)

    def draw():
        return [augment_image(image, np.random.default_rng(s), max_scale=1.3) for s in range(5)]

    found = draw()
    monkeypatch.setattr(
        "shredfinder.training.augmentation._pad_symmetric",
        lambda image, pad: np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="symmetric"),
    )
    np.testing.assert_array_equal(found, draw())


def test_a_fraction_of_the_images_is_not_resampled():
    image = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    turned = [np.rot90(image, k) for k in range(4)]
    exact = {view.tobytes() for k in turned for view in (k.copy(), k[:, ::-1].copy())}
    rng = np.random.default_rng(1)
    n = sum(augment_image(image, rng, unresampled=0.5).tobytes() in exact for _ in range(200))
    assert 70 < n < 130
    views = {augment_image(image, rng, unresampled=1.0).tobytes() for _ in range(100)}
    assert views == exact


def test_oblong_images_keep_their_shape():
    image = np.zeros((16, 24, 3), np.uint8)
    view = augment_image(image, np.random.default_rng(0), unresampled=1.0)
    assert view.shape == image.shape
