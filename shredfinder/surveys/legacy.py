"""The DESI Legacy Imaging Surveys, data release 9 (Dey et al. 2019, AJ 157, 168)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shredfinder.surveys.catalog_preset import CatalogPreset
from shredfinder.surveys.registry import ColorMapping, Survey, register_survey

if TYPE_CHECKING:
    import numpy as np

__all__ = ["LEGACY"]

# The sky viewer's code: Lupton et al. (2004, PASP 116, 133) with the survey's parameters.
_GRZ = ColorMapping(
    name="legacy-grz",
    bands=("z", "r", "g"),
    scales=(2.2, 3.4, 6.0),
    offset=0.03,
    softening=20.0,
    native_pixel_scale=0.262,
    # The cosine coefficients of the viewer's cutouts lie on the quantisation table of this quality.
    jpeg_quality=90,
)

# Layers that the sky viewer draws with the mapping above. Models for g, r and z refuse all others:
# they are drawn in other colours or, as ls-dr9-model and ls-dr9-resid, are not images of the sky.
_GRZ_LAYERS = (
    "ls-dr8",
    "ls-dr9",
    "ls-dr9-north",
    "ls-dr9-south",
    "ls-dr10-grz",
    "ls-dr10-south-grz",
    "ls-dr11",
    "ls-dr11-north",
    "ls-dr11-south",
    "decals-dr5",
    "decals-dr7",
    "mzls+bass-dr6",
)
# From DR10 on, the default layers mix g, r, i and z into three channels.
_GRIZ_LAYERS = ("ls-dr10", "ls-dr10-south")


def _make_ls_id(release: np.ndarray, brick: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Compute Data Lab's ls_id from the columns that Tractor and sweep files have instead."""
    release, brick, number = (values.astype("i8") for values in (release, brick, number))
    # Disjoint ranges of bits, which Data Lab reserves for the three numbers.
    return (release << 40) | (brick << 16) | number


# Table ls_dr9.tractor at NOIRLab's Astro Data Lab. Column names: the DR9 catalogue description,
# legacysurvey.org/dr9/catalogs.
_CATALOG = CatalogPreset(
    survey="legacy-dr9",
    criteria="legacy",
    bands=("g", "r", "z"),
    names={
        "type": "type",
        "shape_r": "shape_r",
        "shape_r_ivar": "shape_r_ivar",
        "ref_cat": "ref_cat",
        "ebv": "ebv",
        "nobs": "nobs_{band}",
        "flux": "flux_{band}",
        "flux_ivar": "flux_ivar_{band}",
        # The database has magnitudes too; sweep and Tractor files have fluxes only.
        "dered_mag": "dered_mag_{band}",
        "mw_transmission": "mw_transmission_{band}",
        "allmask": "allmask_{band}",
        "fracmasked": "fracmasked_{band}",
        "fracflux": "fracflux_{band}",
        "rchisq": "rchisq_{band}",
        "fracin": "fracin_{band}",
    },
    service="tap",
    endpoint="legacy_tap_url",
    tables={"ls_dr9.tractor": ""},
    source="ls_dr9.tractor",
    objid="ls_id",
    ra="ra",
    dec="dec",
    aliases=dict.fromkeys(
        (
            "ls_id",
            "ra",
            "dec",
            "type",
            "shape_r",
            "shape_r_ivar",
            "ref_cat",
            "ebv",
            "flux",
            "flux_ivar",
            "dered_mag",
            "nobs",
            "allmask",
            "fracmasked",
            "fracflux",
            "rchisq",
            "fracin",
        ),
        "",
    ),
    optional=("ref_cat", "ebv"),
    extras={
        "type": ("meta.code.class", "Morphological type of the Tractor fit"),
        "ref_cat": ("meta.ref", "Reference catalogue; L3 marks the large-galaxy atlas"),
    },
    # Sources in brick overlaps have an entry in each brick's table. Sweep files hold one of them.
    primary="brick_primary",
    composite_names=("release", "brickid", "objid"),
    composite_id=_make_ls_id,
)

#: Facts about the Legacy Surveys DR9.
#:
#: :meta hide-value:
LEGACY = register_survey(
    Survey(
        name=_CATALOG.survey,
        aliases=("legacy",),
        # The viewer shows z, r and g as red, green and blue. 128 px of 0.46875" span 60".
        bands=_GRZ.bands,
        pixel_scale=0.46875,
        native_pixel_scale=0.262,
        size=128,
        color_mapping=_GRZ.name,
        service="legacy",
        layer="ls-dr9",
        layers=dict.fromkeys(_GRZ_LAYERS, _GRZ.name) | dict.fromkeys(_GRIZ_LAYERS, "legacy-griz"),
        color_mappings=(_GRZ,),
        catalog=_CATALOG,
        # arXiv:2301.09648, section 3.1. The paper prints DUB for DUP.
        quality={
            "excluded_types": ("PSF", "DUP"),
            "min_shape_r": 0.0,
            "min_nobs": 1,
            "max_fracmasked": 0.35,
            "max_fracflux": 4.0,
            "max_rchisq": 10.0,
            "max_rchisq_any": 4.0,
            "min_fracin_any": 0.7,
            "max_mag_err": 0.2,
        },
        # The coefficients behind MW_TRANSMISSION (DR9 catalogue description), north and south.
        extinction={"g": 3.214, "r": 2.165, "z": 1.211},
    )
)
