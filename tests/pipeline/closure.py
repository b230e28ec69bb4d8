"""Completeness and purity of a search, with and without p_cnn."""

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

from shredfinder.cuts import saga_cut
from shredfinder.hosts import match_hosts

__all__ = ["judge"]


def judge(search, sky, hosts):
    """Compare the candidates and the clean table with the simulated truth.

    The complete sample are the galaxies in the region and near a host, other than hosts, that pass
    SAGA's selection by their true magnitudes and radii. Losses by the quality cuts lower the
    completeness.

    Return a table with one row per selection: numbers of rows, galaxies, shreds and stars,
    completeness and purity.
    """
    truth = sky.truth
    place = SkyCoord(np.asarray(truth["ra"]), np.asarray(truth["dec"]), unit="deg")
    near = np.zeros(len(truth), dtype=bool)
    near[np.asarray(match_hosts(place, hosts, search.settings["host radius kpc"])["index"])] = True
    near &= place.separation(search.center) <= search.radius
    label, kind = np.asarray(truth["label"]), np.asarray(truth["type"])
    satellite = (label == "galaxy") & (kind != "host")
    wanted = near & satellite & saga_cut(truth["g"], truth["r"], truth["radius"])
    by_number = {number: i for i, number in enumerate(np.asarray(truth["objID"]).tolist())}

    rows = []
    entry = np.asarray(search.candidates["host_entry"], dtype=bool)
    for name, table in (
        ("after cuts and hosts", search.candidates[~entry]),
        ("clean table (p_cnn < 0.5)", search.satellites),
    ):
        found = np.array([by_number[number] for number in np.asarray(table["objid"]).tolist()])
        found = found.astype(int)
        is_host = kind[found] == "host"
        found = found[~is_host]
        galaxies = satellite[found]
        rows.append(
            {
                "selection": name,
                "n": len(found),
                "galaxies": int(galaxies.sum()),
                "shreds": int((label[found] == "shred").sum()),
                "stars": int((label[found] == "star").sum()),
                "wanted": int(wanted.sum()),
                "completeness": np.isin(np.flatnonzero(wanted), found).mean(),
                "purity": galaxies.mean() if len(found) else np.nan,
            }
        )
    return Table(rows=rows)
