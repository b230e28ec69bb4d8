"""The Pan-STARRS1 3π survey, data release 2 (Chambers et al. 2016, arXiv:1612.05560)."""

from dataclasses import replace

from shredfinder.surveys.catalog_preset import CatalogPreset
from shredfinder.surveys.registry import Imaging, Survey, register_survey

__all__ = ["PS1", "PS1_QUALITY_FLAGS"]

#: Bits of ObjectThin.qualityFlag (Pan-STARRS1 documentation, "PS1 Object Flags").
PS1_QUALITY_FLAGS = {
    "QF_OBJ_EXT": 1,
    "QF_OBJ_EXT_ALT": 2,
    "QF_OBJ_GOOD": 4,
    "QF_OBJ_GOOD_ALT": 8,
    "QF_OBJ_GOOD_STACK": 16,
    "QF_OBJ_BEST_STACK": 32,
    "QF_OBJ_SUSPECT_STACK": 64,
    "QF_OBJ_BAD_STACK": 128,
}

# Tables of MAST's legacy service. Column names: the DR2 documentation of ObjectThin,
# StackObjectThin and StackPetrosian.
_CATALOG = CatalogPreset(
    survey="ps1-dr2",
    criteria="ps1",
    bands=("g", "r", "i"),
    names={
        "quality_flag": "qualityFlag",
        "n_detections": "nDetections",
        "primary_detection": "primaryDetection",
        "mag": "{band}KronMag",
        "mag_err": "{band}KronMagErr",
        "psf_mag": "iPSFMag",
        "kron_mag": "iKronMag",
        "petro_r50": "rpetR50",
        "petro_r50_err": "rpetR50Err",
        # Not a Pan-STARRS column: the user joins E(B-V) to the table.
        "ebv": "ebv",
    },
    service="tap",
    endpoint="ps1_tap_url",
    tables={"dbo.ObjectThin": "o", "dbo.StackObjectThin": "s", "dbo.StackPetrosian": "p"},
    source="dbo.ObjectThin AS o JOIN dbo.StackObjectThin AS s ON s.objID = o.objID "
    "JOIN dbo.StackPetrosian AS p ON p.uniquePspsSTid = s.uniquePspsSTid "
    "AND p.objID = s.objID",
    objid="objID",
    ra="raMean",
    dec="decMean",
    aliases={
        "objID": "o",
        "raMean": "o",
        "decMean": "o",
        "quality_flag": "o",
        "n_detections": "o",
        "primary_detection": "s",
        "mag": "s",
        "mag_err": "s",
        "psf_mag": "s",
        "kron_mag": "s",
        "petro_r50": "p",
        "petro_r50_err": "p",
    },
    missing=-999.0,
    # The legacy service rejects circles of more than 0.25 degrees.
    max_radius=0.24,
)

# MAST's newer service has the same columns in lower case, in views that join the tables above.
_MAST_CATALOG = replace(
    _CATALOG,
    endpoint="mast_tap_url",
    names={role: name.lower() for role, name in _CATALOG.names.items()},
    tables={
        "ps1_dr2.stack_object": "s",
        "ps1_dr2.forced_mean_object": "f",
        "ps1_dr2.stack_petrosian": "p",
    },
    source="ps1_dr2.stack_object AS s",
    join=("objid", "uniquepspsstid"),
    objid="objid",
    ra="ramean",
    dec="decmean",
    aliases={role if role in _CATALOG.names else role.lower(): "s" for role in _CATALOG.aliases},
)
_CATALOG = replace(_CATALOG, mirrors=(_MAST_CATALOG,))

#: Facts about Pan-STARRS1 DR2.
#:
#: :meta hide-value:
PS1 = register_survey(
    Survey(
        name=_CATALOG.survey,
        aliases=("ps1",),
        bands=("i", "r", "g"),
        pixel_scale=0.46875,
        native_pixel_scale=0.25,
        size=128,
        color_mapping="ps1-gri",
        service="ps1",
        layer="stack",
        # Chambers et al. (2016).
        imaging=Imaging(
            0.25,
            seeing={"g": 1.31, "r": 1.19, "i": 1.11, "z": 1.07, "y": 1.02},
            depth={"g": 23.3, "r": 23.2, "i": 23.1, "z": 22.3, "y": 21.4},
        ),
        catalog=_CATALOG,
        # Chosen for this package from the Pan-STARRS1 documentation: the paper applies "analogous
        # cuts" without listing them.
        quality={
            "min_detections": 2,
            "min_psf_minus_kron": 0.05,
            "min_petro_r50": 0.0,
            "max_mag_err": 0.2,
        },
        # Schlafly & Finkbeiner (2011, ApJ 737, 103), table 6, R_V = 3.1.
        extinction={"g": 3.172, "r": 2.271, "i": 1.682, "z": 1.322, "y": 1.087},
    )
)
