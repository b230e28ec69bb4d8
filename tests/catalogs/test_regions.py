"""Regions: each position of a circle is in exactly one box."""

import subprocess
import sys
from dataclasses import replace

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from shredfinder.catalogs import (
    get_catalog_preset,
    query_candidates,
)
from shredfinder.catalogs.regions import Box, Circle
from tests.catalogs.loopback import CatalogServer, SkyDatabase
from tests.catalogs.skies import CENTER, make_legacy

centers = st.tuples(st.floats(0, 360, exclude_max=True), st.floats(-90, 90))
radii = st.floats(1e-4, 60)


def positions(circle, n, seed):
    """Draw positions within a circle, many of them near its edge."""
    rng = np.random.default_rng(seed)
    distance = circle.radius * rng.uniform(0, 1, n) ** 0.2
    center = SkyCoord(circle.ra, circle.dec, unit="deg")
    made = center.directional_offset_by(rng.uniform(0, 360, n) * u.deg, distance * u.deg)
    ra = made.ra.deg % 360.0
    inside = circle.contains(ra, made.dec.deg)
    return ra[inside], made.dec.deg[inside]


@given(centers, radii, st.integers(0, 99), st.integers(0, 3))
def test_each_position_is_in_exactly_one_box(center, radius, seed, depth):
    circle = Circle(*center, radius)
    ra, dec = positions(circle, 50, seed)
    boxes = circle.boxes()
    for _ in range(depth):
        boxes = [small for box in boxes for small in (box.split() or [box])]
    counts = sum(box.contains(ra, dec).astype(int) for box in boxes)
    assert (counts == 1).all()


@given(centers, st.floats(1e-3, 30), st.integers(0, 99))
def test_circle_encloses_box(center, radius, seed):
    circle = Circle(*center, radius)
    ra, dec = positions(circle, 30, seed)
    for box in circle.boxes():
        for small in box.split():
            cover = small.cover()
            inside = small.contains(ra, dec)
            if cover is not None:
                assert Circle(*cover).contains(ra[inside], dec[inside]).all()


def test_separations_agree_with_astropy():
    rng = np.random.default_rng(0)
    ra, dec = rng.uniform(0, 360, 500), rng.uniform(-90, 90, 500)
    away = SkyCoord(10, 20, unit="deg").separation(SkyCoord(ra, dec, unit="deg")).deg
    for radius in (30.0, 80.0):
        assert (Circle(10, 20, radius).contains(ra, dec) == (away <= radius)).all()


def test_splitting_ends():
    boxes, depth = [Box(10, 11, 40, 41)], 0
    while boxes:
        boxes, depth = boxes[0].split(), depth + 1
    assert 10 < depth < 15


def test_a_catalogue_on_another_server():
    mine = replace(
        get_catalog_preset("legacy-dr9"),
        tables={"mirror.cat": "m"},
        source="mirror.cat AS m",
        aliases=dict.fromkeys(get_catalog_preset("legacy-dr9").aliases, "m"),
    )
    sky = make_legacy(200)
    with CatalogServer(SkyDatabase({"mirror.cat": sky})) as server:
        table = query_candidates(
            mine, CENTER, 2 * u.deg, cuts=None, endpoint=server.tap, cache=False
        )
    assert len(table) == 200


def test_import_loads_no_optional_package():
    code = "import sys, shredfinder.catalogs; print([m for m in ('astroquery', 'pyvo', 'requests', "
    code += "'keras', 'onnxruntime') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
