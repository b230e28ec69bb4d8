"""The Sloan Digital Sky Survey, data release 17 (Abdurro'uf et al. 2022, ApJS 259, 35)."""

from shredfinder.surveys.catalog_preset import CatalogPreset
from shredfinder.surveys.registry import Imaging, Survey, register_survey

__all__ = ["SDSS", "SDSS_FLAGS"]

#: Bits of the photometric flags (PhotoFlags in the SDSS schema).
SDSS_FLAGS = {
    "SATURATED": 0x40000,
    "BINNED1": 0x10000000,
    "BAD_COUNTS_ERROR": 0x10000000000,
}

# SkyServer's PhotoPrimary has one row per source; PhotoObj repeats sources of overlapping runs.
# Column names: the DR17 schema.
_CATALOG = CatalogPreset(
    survey="sdss-dr17",
    criteria="sdss",
    bands=("g", "r", "i"),
    names={
        "type": "type",
        "flags_r": "flags_r",
        "mag": "modelMag_{band}",
        "mag_err": "modelMagErr_{band}",
        "dered_mag": "dered_{band}",
        "extinction": "extinction_{band}",
        "petro_r50": "petroR50_r",
        "petro_r50_err": "petroR50Err_r",
    },
    service="skyserver",
    endpoint="sdss_sql_url",
    tables={"PhotoPrimary": "p"},
    source="PhotoPrimary AS p JOIN dbo.fGetNearbyObjEq({ra}, {dec}, {arcmin}) AS n "
    "ON n.objID = p.objID",
    # The join selects the circle.
    circle=None,
    objid="objID",
    ra="ra",
    dec="dec",
    aliases=dict.fromkeys(
        (
            "objID",
            "ra",
            "dec",
            "type",
            "flags_r",
            "mag_err",
            "dered_mag",
            "petro_r50",
            "petro_r50_err",
            # Gives E(B-V), for which images are corrected.
            "extinction_r",
        ),
        "p",
    ),
    optional=("extinction_r",),
    missing=-9999.0,
)

#: Facts about SDSS DR17.
#:
#: :meta hide-value:
SDSS = register_survey(
    Survey(
        name=_CATALOG.survey,
        aliases=("sdss",),
        # SkyServer shows i, r and g as red, green and blue (Lupton et al. 2004, PASP 116, 133).
        bands=("i", "r", "g"),
        pixel_scale=0.46875,
        native_pixel_scale=0.396127,
        size=128,
        color_mapping="sdss-gri",
        service="sdss",
        layer="dr17",
        # Seeing: the median in r, 1.43" (SDSS DR7, "Seeing and sky brightness"), scaled to the
        # other bands by wavelength to the power of -0.3 (Xin et al. 2018, AJ 156, 222). Depth: the
        # magnitudes at which 95 % of stars are detected (Abazajian et al. 2004, AJ 128, 502).
        imaging=Imaging(
            0.396127,
            seeing={"u": 1.70, "g": 1.54, "r": 1.43, "i": 1.35, "z": 1.29},
            depth={"u": 22.0, "g": 22.2, "r": 22.2, "i": 21.3, "z": 20.5},
        ),
        catalog=_CATALOG,
        # Flags and errors: SAGA's selection (Mao et al. 2021, ApJ 907, 85). Type and radius are
        # the counterparts of Legacy's.
        quality={
            "galaxy_types": (3,),
            "set_flags": ("BINNED1",),
            "unset_flags": ("SATURATED", "BAD_COUNTS_ERROR"),
            "min_petro_r50": 0.0,
            "max_mag_err": 0.5,
            "min_bands": 2,
        },
        # Schlafly & Finkbeiner (2011, ApJ 737, 103), table 6, R_V = 3.1.
        extinction={"u": 4.239, "g": 3.303, "r": 2.285, "i": 1.698, "z": 1.263},
    )
)
