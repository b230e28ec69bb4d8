"""Simulated fields side by side, with all that is in them."""

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table, vstack

from shredfinder.datasets import make_field

CENTER = SkyCoord(143.0421, 21.5008, unit="deg")
# Fields don't overlap, and a strip of sky between them has no image.
_GAP = 1.06


@dataclass
class Sky:
    """Images and truth.

    ``truth`` has a row for each object: objID, ra, dec, g, r, z, radius (arcsec), label (galaxy,
    shred or star), type and host_id; ``center`` is the brightest host of the first field.
    """

    fields: list
    truth: Table
    center: SkyCoord
    seed: int

    @property
    def hosts(self):
        return self.truth[self.truth["type"] == "host"]


def make_sky(n_fields=1, *, size=640, n_hosts=3, seed=1):
    """Simulate fields on a grid around NGC 2903's place."""
    step = _GAP * size * 0.46875 * u.arcsec
    columns = int(np.ceil(np.sqrt(n_fields)))
    fields, tables = [], []
    for i in range(n_fields):
        east, north = (i % columns) * step, (i // columns) * step
        place = CENTER.spherical_offsets_by(east, north)
        field = make_field(size=size, n_hosts=n_hosts, random_state=seed + i, center=place)
        fields.append(field)
        tables.append(_tabulate(field, 10_000 * (i + 1)))
    truth = vstack(tables, metadata_conflicts="silent")
    first = tables[0][tables[0]["type"] == "host"]
    row = first[np.argmin(first["r"])]
    return Sky(fields, truth, SkyCoord(row["ra"], row["dec"], unit="deg"), seed)


def _tabulate(field, first):
    sources, stars = field.sources, field.stars
    table = Table()
    n = len(sources) + len(stars)
    table["objID"] = first + np.arange(n)
    for name in ("ra", "dec", "g", "r", "z"):
        table[name] = np.r_[np.asarray(sources[name]), np.asarray(stars[name])]
    table["radius"] = np.r_[np.asarray(sources["radius"]), np.zeros(len(stars))]
    table["label"] = np.r_[np.asarray(sources["label"]), np.full(len(stars), "star")]
    table["type"] = np.r_[np.asarray(sources["type"]), np.full(len(stars), "star")]
    # objID of the simulation begin at 1001, in the order of its making, and are sorted by ra here.
    numbers = dict(zip(sources["objID"].tolist(), table["objID"].tolist(), strict=False))
    table["host_id"] = [
        numbers.get(host, -1) for host in [*sources["host_id"].tolist(), *([-1] * len(stars))]
    ]
    return table
