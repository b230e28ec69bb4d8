"""What the surveys' pipelines would make of a simulated sky, in their own columns.

How often a criterion of quality fails is assumed, not measured: pieces of large galaxies fit a
model badly and are blended, large galaxies too, few others. Numbers that follow from it say whether
the pipeline does what it should, and nothing about the surveys.
"""

import numpy as np
from astropy.io import fits
from astropy.table import Table

from tests.cutouts.loopback.services import FRAME_SIZE

# Chance that a source of each kind has a bad RCHISQ, and a bad FRACFLUX.
_BAD_FIT = {"shred": 0.35, "host": 0.3, "galaxy": 0.02, "star": 0.01}
_BLENDED = {"shred": 0.35, "host": 0.0, "galaxy": 0.03, "star": 0.05}
# Stars that a survey pipeline classifies as galaxies.
_LIKE_GALAXIES = 0.05
_NOISE = {"g": 0.05, "r": 0.07, "z": 0.14, "i": 0.12}
_DUST = {"g": 0.09, "r": 0.06, "z": 0.03, "i": 0.045}


def _kinds(truth):
    kinds = np.asarray(truth["label"]).astype("U8")
    kinds[np.asarray(truth["type"]) == "host"] = "host"
    return kinds


def _chance(kinds, chances, rng):
    return rng.uniform(size=len(kinds)) < np.array([chances[kind] for kind in kinds])


def _measure(truth, rng):
    """Fluxes without dust, their errors, and radii with relative errors; what looks extended."""
    fluxes, errors = {}, {}
    for band in "grz":
        flux = 10 ** (-0.4 * (np.asarray(truth[band]) - 22.5))
        errors[band] = np.hypot(0.01 * flux, _NOISE[band])
        fluxes[band] = flux + rng.normal(0, errors[band])
    stars = np.asarray(truth["label"]) == "star"
    extended = ~stars | (rng.uniform(size=len(truth)) < _LIKE_GALAXIES)
    radius = np.where(stars, rng.uniform(0.15, 0.4, len(truth)), np.asarray(truth["radius"]))
    return fluxes, errors, radius * np.exp(rng.normal(0, 0.05, len(truth))), extended


def make_legacy(sky):
    """Rows of ls_dr9.tractor."""
    rng = np.random.default_rng(sky.seed + 1000)
    truth = sky.truth
    n, kinds = len(truth), _kinds(truth)
    fluxes, errors, radius, extended = _measure(truth, rng)
    table = Table()
    table["ls_id"] = np.asarray(truth["objID"], dtype=np.int64)
    table["ra"], table["dec"] = truth["ra"], truth["dec"]
    table["type"] = np.where(extended, rng.choice(["EXP", "SER", "REX"], n), "PSF")
    table["shape_r"] = np.where(extended, radius, 0.0).astype("f4")
    table["shape_r_ivar"] = np.where(extended, 1 / (0.05 * radius) ** 2, 0.0).astype("f4")
    # The atlas of large galaxies has the largest.
    table["ref_cat"] = np.where((kinds == "host") & (np.asarray(truth["r"]) < 14.5), "L3", "  ")
    bad, blended = _chance(kinds, _BAD_FIT, rng), _chance(kinds, _BLENDED, rng)
    for band in "grz":
        transmission = 10 ** (-0.4 * _DUST[band])
        table[f"flux_{band}"] = (fluxes[band] * transmission).astype("f4")
        table[f"flux_ivar_{band}"] = (1 / (errors[band] * transmission) ** 2).astype("f4")
        table[f"mw_transmission_{band}"] = np.full(n, transmission, dtype="f4")
        with np.errstate(all="ignore"):
            mag = 22.5 - 2.5 * np.log10(fluxes[band])
        table[f"dered_mag_{band}"] = mag.astype("f4")
        table[f"nobs_{band}"] = np.full(n, 3, dtype=np.int16)
        table[f"allmask_{band}"] = np.where(rng.uniform(size=n) < 0.005, 2, 0).astype(np.int16)
        table[f"fracmasked_{band}"] = np.full(n, 0.01, dtype="f4")
        table[f"fracflux_{band}"] = np.where(blended, 7.0, rng.uniform(0, 0.5, n)).astype("f4")
        table[f"rchisq_{band}"] = np.where(bad, 14.0, rng.uniform(0.9, 1.4, n)).astype("f4")
        table[f"fracin_{band}"] = np.full(n, 0.97, dtype="f4")
    return table


def make_sdss(sky):
    """Rows of PhotoPrimary: shallower, with more of the shreds, and a few beyond the images."""
    rng = np.random.default_rng(sky.seed + 2000)
    truth = sky.truth[np.asarray(sky.truth["r"]) < 21.5]
    n, kinds = len(truth), _kinds(truth)
    fluxes, errors, radius, extended = _measure(truth, rng)
    table = Table()
    table["objID"] = 1237661068180127744 + np.asarray(truth["objID"], dtype=np.int64)
    # A few arcsec off for some, as catalogues are.
    table["ra"], table["dec"] = truth["ra"], truth["dec"] + rng.normal(0, 0.3 / 3600, n)
    outside = rng.uniform(size=n) < 0.08
    table["dec"][outside] -= 0.12
    table["type"] = np.where(extended, 3, 6)
    # The images of this sky are free of dust.
    table["extinction_r"] = np.zeros(n, dtype="f4")
    # The frames of the image server, by position.
    table["run"] = np.asarray(table["ra"] // FRAME_SIZE, dtype=np.int64)
    table["rerun"], table["camcol"] = np.full(n, 301), np.full(n, 3)
    table["field"] = np.asarray((table["dec"] + 90) // FRAME_SIZE, dtype=np.int64)
    good = ~_chance(kinds, _BAD_FIT, rng)
    table["flags_r"] = np.where(good, 0x10000000, 0x10040000).astype(np.int64)
    table["petroR50_r"], table["petroR50Err_r"] = radius, 0.05 * radius
    for band, own in (("g", "g"), ("r", "r"), ("i", "z")):
        with np.errstate(all="ignore"):
            table[f"dered_{band}"] = 22.5 - 2.5 * np.log10(fluxes[own])
        table[f"modelMagErr_{band}"] = 1.0857 * errors[own] / np.maximum(fluxes[own], 1e-3)
        bad = ~np.isfinite(table[f"dered_{band}"])
        table[f"dered_{band}"][bad] = -9999.0
    return table


def make_ps1(sky, *, ebv=0.04):
    """Rows of ObjectThin, StackObjectThin and StackPetrosian."""
    rng = np.random.default_rng(sky.seed + 3000)
    truth = sky.truth[np.asarray(sky.truth["r"]) < 21.5]
    n, kinds = len(truth), _kinds(truth)
    fluxes, errors, radius, extended = _measure(truth, rng)
    number = np.asarray(truth["objID"], dtype=np.int64)
    good = ~_chance(kinds, _BAD_FIT, rng)
    thin = Table({"objID": 133801430000000000 + number, "raMean": truth["ra"]})
    thin["decMean"] = truth["dec"]
    thin["qualityFlag"] = np.where(good, 52, 180)
    thin["nDetections"] = np.full(n, 40)
    stack = Table({"objID": thin["objID"], "uniquePspsSTid": number, "primaryDetection": [1] * n})
    petro = Table({"objID": thin["objID"], "uniquePspsSTid": number})
    petro["rpetR50"], petro["rpetR50Err"] = radius, 0.05 * radius
    for band, own, k in (("g", "g", 3.172), ("r", "r", 2.271), ("i", "z", 1.682)):
        mag = 22.5 - 2.5 * np.log10(np.maximum(fluxes[own], 1e-3)) + k * ebv
        stack[f"{band}KronMag"] = mag
        stack[f"{band}KronMagErr"] = 1.0857 * errors[own] / np.maximum(fluxes[own], 1e-3)
        if band == "i":
            stack["iPSFMag"] = mag + np.where(extended, 0.4, 0.0)
    return {"dbo.ObjectThin": thin, "dbo.StackObjectThin": stack, "dbo.StackPetrosian": petro}


def make_nsa(sky, path, *, z_center=0.0145):
    """Write hosts as nsa_v1_0_1.fits has them, and galaxies elsewhere that are no one's host."""
    rng = np.random.default_rng(sky.seed + 4000)
    hosts = sky.hosts
    n, far = len(hosts), 50
    z = np.r_[rng.uniform(0.6 * z_center, 2.5 * z_center, n), rng.uniform(0.01, 0.2, far)]
    nearest = np.argmin(np.hypot(*(
        np.asarray(hosts[name]) - value for name, value in
        (("ra", sky.center.ra.deg), ("dec", sky.center.dec.deg))
    )))  # fmt: skip
    z[nearest] = z_center
    radius = np.r_[np.asarray(hosts["radius"]), rng.uniform(2, 20, far)]
    flux = np.r_[10 ** (-0.4 * (np.asarray(hosts["r"]) - 22.5)), np.full(far, 100.0)]
    columns = [
        fits.Column("RA", "D", array=np.r_[np.asarray(hosts["ra"]), rng.uniform(0, 90, far)]),
        fits.Column("DEC", "D", array=np.r_[np.asarray(hosts["dec"]), rng.uniform(-10, 60, far)]),
        fits.Column("NSAID", "J", array=np.r_[np.asarray(hosts["objID"]), np.arange(far)]),
        fits.Column("Z", "E", array=z),
        fits.Column("ZDIST", "E", array=z),
        fits.Column("PETRO_TH50", "E", array=radius),
        fits.Column("PETRO_TH90", "E", array=2 * radius),
        fits.Column("PETRO_BA90", "E", array=np.full(n + far, 0.7)),
        fits.Column("PETRO_PHI90", "E", array=np.full(n + far, 45.0)),
        fits.Column("ELPETRO_FLUX", "7E", array=np.tile(flux[:, None], (1, 7))),
        fits.Column("ELPETRO_ABSMAG", "7E", array=np.full((n + far, 7), -20.0)),
        fits.Column("EXTINCTION", "7E", array=np.full((n + far, 7), 0.06)),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(path, overwrite=True)
    return path
