"""Column names of the surveys' catalogues and of the NASA-Sloan Atlas, as data.

Each name stands here once. They are taken from the surveys' documentation (Legacy Surveys DR9
catalogue description; SDSS DR17 schema, PhotoObj; Pan-STARRS1 DR2 table fields of ObjectThin,
StackObjectThin and StackPetrosian; NSA v1.0.1 data model) and were not checked against the
running services: a name that is missing from a table is reported, never replaced.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CATALOGS", "NSA_COLUMNS", "CatalogColumns", "get_catalog_columns"]


@dataclass(frozen=True)
class CatalogColumns:
    """The columns of a survey's catalogue that the cuts read.

    Attributes
    ----------
    survey : str
        The survey's name, as in `shredfinder.surveys.SURVEYS`.
    bands : tuple of str
        The bands of the quality cuts, in the order of their per-band arguments.
    names : dict
        From the role of a column to its name; ``{band}`` stands for the band.
    missing : float or None
        The value that the survey writes where it has no measurement.

    Examples
    --------
    >>> from shredfinder.surveys.catalog_columns import get_catalog_columns
    >>> columns = get_catalog_columns("legacy-dr9")
    >>> columns.name("flux", "r"), columns.bands
    ('flux_r', ('g', 'r', 'z'))
    """

    survey: str
    bands: tuple
    names: dict
    missing: float | None = None

    def name(self, role: str, band: str | None = None) -> str | None:
        """Return the name of the column that plays a role.

        Parameters
        ----------
        role : str
            One of the keys of ``names``.
        band : str, optional
            The band, for roles that have one column per band.

        Returns
        -------
        name : str
            The column's name as the survey writes it.
        """
        return self.names[role].format(band=band)


#: The catalogues, by their survey.
CATALOGS = {
    columns.survey: columns
    for columns in (
        CatalogColumns(
            "legacy-dr9",
            ("g", "r", "z"),
            {
                "type": "type",
                "shape_r": "shape_r",
                "shape_r_ivar": "shape_r_ivar",
                "ref_cat": "ref_cat",
                "ebv": "ebv",
                "nobs": "nobs_{band}",
                "flux": "flux_{band}",
                "flux_ivar": "flux_ivar_{band}",
                # The sweep and Tractor files have fluxes only; the database also has magnitudes.
                "dered_mag": "dered_mag_{band}",
                "mw_transmission": "mw_transmission_{band}",
                "allmask": "allmask_{band}",
                "fracmasked": "fracmasked_{band}",
                "fracflux": "fracflux_{band}",
                "rchisq": "rchisq_{band}",
                "fracin": "fracin_{band}",
            },
        ),
        CatalogColumns(
            "sdss-dr17",
            ("g", "r", "i"),
            {
                "type": "type",
                "flags_r": "flags_r",
                "mag": "modelMag_{band}",
                "mag_err": "modelMagErr_{band}",
                "dered_mag": "dered_{band}",
                "extinction": "extinction_{band}",
                "petro_r50": "petroR50_r",
                "petro_r50_err": "petroR50Err_r",
            },
            missing=-9999.0,
        ),
        CatalogColumns(
            "ps1-dr2",
            ("g", "r", "i"),
            {
                "quality_flag": "qualityFlag",
                "n_detections": "nDetections",
                "primary_detection": "primaryDetection",
                "mag": "{band}KronMag",
                "mag_err": "{band}KronMagErr",
                "psf_mag": "iPSFMag",
                "kron_mag": "iKronMag",
                "petro_r50": "rpetR50",
                "petro_r50_err": "rpetR50Err",
                # Not a column of Pan-STARRS: E(B-V) is joined to the table by the user.
                "ebv": "ebv",
            },
            missing=-999.0,
        ),
    )
}

#: From the names that `shredfinder.hosts.read_nsa` gives to those of ``nsa_v1_0_1.fits``.
NSA_COLUMNS = {
    "host_id": "NSAID",
    "ra": "RA",
    "dec": "DEC",
    "z": "Z",
    "zdist": "ZDIST",
    "petro_th50": "PETRO_TH50",
    "petro_th90": "PETRO_TH90",
    "petro_ba90": "PETRO_BA90",
    "petro_phi90": "PETRO_PHI90",
    "elpetro_flux": "ELPETRO_FLUX",
    "elpetro_absmag": "ELPETRO_ABSMAG",
    "extinction": "EXTINCTION",
}


def get_catalog_columns(survey: str) -> CatalogColumns:
    """Look up the column names of a survey's catalogue.

    Parameters
    ----------
    survey : str
        ``"legacy-dr9"``, ``"sdss-dr17"`` or ``"ps1-dr2"``.

    Returns
    -------
    columns : CatalogColumns
        The names of its columns.

    Raises
    ------
    ValueError
        If there is no survey of that name.

    Examples
    --------
    >>> from shredfinder.surveys.catalog_columns import get_catalog_columns
    >>> get_catalog_columns("legacy-dr9").name("rchisq", "g")
    'rchisq_g'
    """
    try:
        return CATALOGS[survey]
    except (KeyError, TypeError):
        raise ValueError(
            f"there are no column names for the survey {survey!r}: choose one of "
            f"{', '.join(sorted(CATALOGS))}"
        ) from None
