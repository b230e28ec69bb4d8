"""Small simulated catalogues with the surveys' columns, in which every criterion removes rows."""

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table

CENTER = SkyCoord(143.0421, 21.5008, unit="deg")


def scatter(n, rng, center=CENTER, radius=0.6):
    """Draw positions in a square around a centre, denser in the middle."""
    size = np.where(rng.uniform(size=n) < 0.3, radius / 3, radius)
    east, north = size * rng.uniform(-1, 1, n), size * rng.uniform(-1, 1, n)
    made = center.spherical_offsets_by(east * center.ra.unit, north * center.ra.unit)
    return made.ra.deg, made.dec.deg


def photometry(n, rng):
    """Draw magnitudes, half-light radii and their relative errors."""
    red = rng.uniform(15.0, 22.5, n)
    green = red + rng.normal(0.6, 0.3, n)
    third = red - rng.normal(0.2, 0.1, n)
    radius = np.exp(rng.normal(0.9, 0.6, n))
    return green, red, third, radius, rng.uniform(0.005, 0.2, n)


def some(rng, n, usual, odd, chance=0.06):
    """Replace a random fraction of the usual values by odd ones."""
    usual = np.array(np.broadcast_to(usual, n))
    rows = rng.uniform(size=n) < chance
    usual[rows] = rng.choice(np.asarray(odd), rows.sum())
    return usual


def make_legacy(n=900, *, seed=1, center=CENTER, radius=0.6):
    """Simulate rows of ls_dr9.tractor."""
    rng = np.random.default_rng(seed)
    ra, dec = scatter(n, rng, center, radius)
    green, red, third, r_eff, error = photometry(n, rng)
    table = Table()
    brick = np.full(n, 400_000) + rng.integers(0, 3, n)
    table["release"] = np.full(n, 9010, dtype=np.int16)
    table["brickid"] = brick.astype(np.int32)
    table["objid"] = np.arange(n, dtype=np.int32)
    table["ls_id"] = (np.int64(9010) << 40) + (brick.astype(np.int64) << 16) + np.arange(n)
    table["ra"], table["dec"] = ra, dec
    table["type"] = some(rng, n, "EXP", ["PSF", "DUP", "SER", "REX", "DEV"], 0.5)
    table["shape_r"] = np.where(table["type"] == "PSF", 0.0, r_eff).astype("f4")
    table["shape_r_ivar"] = some(rng, n, 1 / (error * r_eff) ** 2, [0.0]).astype("f4")
    table["ref_cat"] = some(rng, n, "  ", ["L3", "G2"])
    table["ebv"] = np.full(n, 0.028, dtype="f4")
    for band, mag in (("g", green), ("r", red), ("z", third)):
        dust = {"g": 0.09, "r": 0.06, "z": 0.03}[band]
        flux = some(rng, n, 10 ** (-0.4 * (mag + dust - 22.5)), [-0.1, 0.0], 0.02)
        table[f"flux_{band}"] = flux.astype("f4")
        ivar = some(rng, n, (10 / np.abs(flux + 1e-3)) ** 2, [0.0, 1.0])
        table[f"flux_ivar_{band}"] = ivar.astype("f4")
        table[f"mw_transmission_{band}"] = np.full(n, 10 ** (-0.4 * dust), dtype="f4")
        with np.errstate(all="ignore"):
            dered = 22.5 - 2.5 * np.log10(flux / 10 ** (-0.4 * dust))
        table[f"dered_mag_{band}"] = np.where(flux > 0, dered, np.nan).astype("f4")
        table[f"nobs_{band}"] = some(rng, n, 3, [0, 1]).astype(np.int16)
        table[f"allmask_{band}"] = some(rng, n, 0, [2, 64], 0.02).astype(np.int16)
        table[f"fracmasked_{band}"] = some(rng, n, 0.01, [0.35, 0.34999, 0.9]).astype("f4")
        table[f"fracflux_{band}"] = some(rng, n, 0.1, [4.0, 3.9999, 50.0]).astype("f4")
        table[f"rchisq_{band}"] = some(rng, n, 1.1, [5.0, 10.0, 80.0]).astype("f4")
        table[f"fracin_{band}"] = some(rng, n, 0.95, [0.7, 0.1]).astype("f4")
    return table


def make_sdss(n=900, *, seed=2):
    """Simulate rows of PhotoPrimary."""
    rng = np.random.default_rng(seed)
    ra, dec = scatter(n, rng)
    green, red, third, r_eff, error = photometry(n, rng)
    table = Table()
    table["objID"] = 1237661068180127744 + np.arange(n, dtype=np.int64)
    table["ra"], table["dec"] = ra, dec
    table["type"] = some(rng, n, 3, [6], 0.3)
    flags = some(rng, n, 0x10000000, [0, 0x10040000, 0x10010000000], 0.2)
    table["flags_r"] = flags.astype(np.int64)
    table["extinction_r"] = np.full(n, 0.0914, dtype="f4")
    table["petroR50_r"] = some(rng, n, r_eff, [-9999.0])
    table["petroR50Err_r"] = some(rng, n, r_eff * error, [-9999.0, -1000.0])
    for band, mag in (("g", green), ("r", red), ("i", third)):
        table[f"dered_{band}"] = some(rng, n, mag, [-9999.0], 0.03)
        table[f"modelMagErr_{band}"] = some(rng, n, error, [-9999.0, 0.5, 0.49999, 2.0], 0.2)
    return table


def make_ps1(n=900, *, seed=3, ebv=0.04):
    """Simulate rows of ObjectThin, StackObjectThin and StackPetrosian, joined."""
    rng = np.random.default_rng(seed)
    ra, dec = scatter(n, rng)
    green, red, third, r_eff, error = photometry(n, rng)
    table = Table()
    # Sky cells overlap: one object in ten has a second stack row with another number.
    number = np.arange(n, dtype=np.int64)
    number[n - n // 10 :] = np.arange(n // 10)
    ra, dec = ra[number], dec[number]
    table["objID"] = 133801430000000000 + number
    table["uniquePspsSTid"] = 5000000 + np.arange(n, dtype=np.int64)
    table["raMean"], table["decMean"] = ra, dec
    table["qualityFlag"] = some(rng, n, 52, [180, 48], 0.2)[number]
    table["nDetections"] = some(rng, n, 40, [1, 2])[number]
    table["primaryDetection"] = (np.arange(n) == number).astype(np.int16)
    table["iPSFMag"] = third + some(rng, n, 0.4, [0.05, 0.01, -0.1], 0.3)
    table["rpetR50"] = some(rng, n, r_eff, [-999.0])
    table["rpetR50Err"] = some(rng, n, r_eff * error, [-999.0])
    for band, mag, k in (("g", green, 3.172), ("r", red, 2.271), ("i", third, 1.682)):
        table[f"{band}KronMag"] = some(rng, n, mag + k * ebv, [-999.0], 0.03)
        table[f"{band}KronMagErr"] = some(rng, n, error / 2, [-999.0, 0.2, 0.5])
    return table
