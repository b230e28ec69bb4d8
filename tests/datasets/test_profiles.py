import numpy as np
import pytest

from shredfinder.datasets.observing import moffat
from shredfinder.datasets.profiles import (
    edge_on_stamp,
    gaussian_stamp,
    sersic_b,
    sersic_stamp,
)


def _moments(stamp):
    rows, columns = np.indices(stamp.image.shape)
    x = (stamp.image * columns).sum() + stamp.left
    y = (stamp.image * rows).sum() + stamp.bottom
    dx, dy = columns + stamp.left - x, rows + stamp.bottom - y
    return x, y, (stamp.image * dx * dx).sum(), (stamp.image * dy * dy).sum(), dx, dy


# From the definition, gamma(2n, b) = Gamma(2n) / 2, solved numerically (Ciotti & Bertin 1999).
@pytest.mark.parametrize(("n", "b"), [(1, 1.678347), (2, 3.672061), (4, 7.669249)])
def test_sersic_b(n, b):
    assert sersic_b(n) == pytest.approx(b, abs=2e-4)


@pytest.mark.parametrize(
    "stamp",
    [
        sersic_stamp(100.3, 50.8, 6.0, n=1),
        sersic_stamp(100.3, 50.8, 1.0, n=3, axis_ratio=0.5, position_angle=1.0),
        edge_on_stamp(100.3, 50.8, 8.0, position_angle=0.4),
        gaussian_stamp(100.3, 50.8, 1.5),
    ],
)
def test_stamps_sum_to_one_and_are_centered(stamp):
    assert stamp.image.sum() == pytest.approx(1, rel=1e-4)
    x, y, *_ = _moments(stamp)
    assert (x, y) == (pytest.approx(100.3, abs=0.05), pytest.approx(50.8, abs=0.05))


@pytest.mark.parametrize("n", [1.0, 2.0])
def test_half_of_the_light_is_within_the_half_light_radius(n):
    stamp = sersic_stamp(0, 0, 12.0, n=n)
    *_, dx, dy = _moments(stamp)
    assert stamp.image[np.hypot(dx, dy) < 12].sum() == pytest.approx(0.5, abs=0.04)


def test_position_angle_is_from_north_to_east():
    # Major axis to the north-east, which is up and to the left.
    for stamp in (
        sersic_stamp(0, 0, 8.0, axis_ratio=0.3, position_angle=np.pi / 4),
        edge_on_stamp(0, 0, 8.0, position_angle=np.pi / 4),
    ):
        *_, dx, dy = _moments(stamp)
        assert (stamp.image * dx * dy).sum() < -5
    north = sersic_stamp(0, 0, 8.0, axis_ratio=0.3, position_angle=0)
    _, _, xx, yy, *_ = _moments(north)
    assert np.sqrt(xx / yy) == pytest.approx(0.3, abs=0.03)


def test_moffat_has_its_width_and_sum():
    distance = np.arange(-200, 201)
    psf = moffat(distance, distance[:, None], 4.0)
    assert psf.sum() == pytest.approx(1, abs=0.01)
    assert moffat(np.array(2.0), 0, 4.0) / moffat(np.array(0.0), 0, 4.0) == pytest.approx(0.5)
