"""What there is to know of each survey's catalogue, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shredfinder.catalogs.conditions import legacy_conditions, ps1_conditions, sdss_conditions
from shredfinder.surveys import get_catalog_columns

if TYPE_CHECKING:
    from collections.abc import Callable

    from shredfinder.surveys import CatalogColumns

__all__ = [
    "CATALOG_PRESETS",
    "CatalogPreset",
    "get_catalog_preset",
    "register_catalog_preset",
]

_TAP_CIRCLE = (
    "1 = CONTAINS(POINT('ICRS', {ra_col}, {dec_col}), CIRCLE('ICRS', {ra}, {dec}, {radius}))"
)


@dataclass(frozen=True)
class CatalogPreset:
    """Where a survey's catalogue is, and what is asked of it.

    Attributes
    ----------
    survey : str
        The survey's name, as in `shredfinder.surveys.CATALOGS`, where its columns' names stand.
    service : str
        ``"tap"`` or ``"skyserver"``: how it is asked.
    endpoint : str
        Name of the item of `shredfinder.conf` that holds the service's address.
    tables : dict
        From each table's name to its alias in the query.
    source : str
        What stands after FROM. ``{ra}``, ``{dec}`` and ``{radius}`` (degrees) and ``{arcmin}``
        stand for a circle around the region.
    circle : str or None
        A condition for the circle, with the same fields and ``{ra_col}`` and ``{dec_col}``; None
        if ``source`` sees to it.
    objid, ra, dec : str
        Names of the columns of identifier and position.
    aliases : dict
        From the role of a column (see `shredfinder.surveys.CatalogColumns`) or its name to the
        alias of its table; the roles are those that are queried.
    conditions : callable
        Called with the cuts' thresholds and a function from role and band to a column's name,
        it returns a list of conditions that every row fulfils that passes the cuts.
    optional : tuple of str
        Roles without which the catalogue is as good.
    extras : dict
        From the roles of columns that the result has besides the standard ones to their UCD and
        description.
    composite_names : tuple of str
        For files without `objid`: the columns that name a source together.
    composite_id : callable or None
        Makes `objid` of the values of these.

    Examples
    --------
    >>> from shredfinder.catalogs import get_catalog_preset
    >>> preset = get_catalog_preset("legacy-dr9")
    >>> preset.source, preset.endpoint, preset.names_of("rchisq")
    ('ls_dr9.tractor', 'legacy_tap_url', ['rchisq_g', 'rchisq_r', 'rchisq_z'])
    """

    survey: str
    service: str
    endpoint: str
    tables: dict
    source: str
    circle: str | None
    objid: str
    ra: str
    dec: str
    aliases: dict
    conditions: Callable
    optional: tuple = ()
    extras: dict = field(default_factory=dict)
    composite_names: tuple = ()
    composite_id: Callable | None = None

    @property
    def catalog(self) -> CatalogColumns:
        """CatalogColumns: The names of the survey's columns."""
        return get_catalog_columns(self.survey)

    @property
    def needs_ebv(self) -> bool:
        """bool: Whether E(B-V) must come from elsewhere."""
        return not {"dered_mag", "extinction", "mw_transmission"} & set(self.aliases)

    def names_of(self, role: str) -> list[str]:
        """List the columns that play a role, one or one per band.

        Parameters
        ----------
        role : str
            A role of `shredfinder.surveys.CatalogColumns`, or the name of a column.

        Returns
        -------
        names : list of str
            The names as the survey writes them.
        """
        name = self.catalog.names.get(role, role)
        if "{band}" not in name:
            return [name]
        return [name.format(band=band) for band in self.catalog.bands]

    @property
    def columns(self) -> dict[str, str]:
        """dict: From the name of each queried column to its table's alias."""
        return {name: alias for role, alias in self.aliases.items() for name in self.names_of(role)}

    def qualified(self, role: str, band: str | None = None) -> str:
        """Name a column within a query.

        Parameters
        ----------
        role : str
            Its role, or its name.
        band : str, optional
            The band, for roles with one column per band.

        Returns
        -------
        name : str
            With its table's alias, if the query has aliases.
        """
        name = self.catalog.names.get(role, role).format(band=band)
        alias = self.aliases.get(role, "")
        return f"{alias}.{name}" if alias else name


def _legacy_id(release, brick, number):
    """Make Data Lab's ls_id of the columns that name a source in Tractor and sweep files."""
    release, brick, number = (values.astype("i8") for values in (release, brick, number))
    return (release << 40) | (brick << 16) | number


#: The presets by the survey's name. `register_catalog_preset` adds to them.
CATALOG_PRESETS: dict[str, CatalogPreset] = {}


def register_catalog_preset(preset: CatalogPreset) -> CatalogPreset:
    """Add a survey's catalogue to the registry.

    Parameters
    ----------
    preset : CatalogPreset
        The preset. The names of its columns must stand in `shredfinder.surveys.CATALOGS`.

    Returns
    -------
    preset : CatalogPreset
        The same.

    Raises
    ------
    ValueError
        If there is a preset of that survey already, if there are no column names for it, or if
        its kind of service is not known.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from shredfinder.catalogs import get_catalog_preset, register_catalog_preset
    >>> mirror = replace(get_catalog_preset("legacy-dr9"), tables={"mirror.tractor": ""})
    >>> register_catalog_preset(mirror)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: there is a catalogue preset of 'legacy-dr9' already: ...
    """
    if preset.survey in CATALOG_PRESETS:
        raise ValueError(
            f"there is a catalogue preset of {preset.survey!r} already: give the preset itself to "
            "query_candidates"
        )
    if preset.service not in ("tap", "skyserver"):
        raise ValueError(f"service must be 'tap' or 'skyserver': got {preset.service!r}")
    get_catalog_columns(preset.survey)
    CATALOG_PRESETS[preset.survey] = preset
    return preset


def get_catalog_preset(survey: str | CatalogPreset) -> CatalogPreset:
    """Look up a survey's catalogue.

    Parameters
    ----------
    survey : str or CatalogPreset
        One of the keys of `CATALOG_PRESETS`; a preset is returned as it is.

    Returns
    -------
    preset : CatalogPreset
        The preset.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> from shredfinder.catalogs import get_catalog_preset
    >>> list(get_catalog_preset("legacy-dr9").tables)
    ['ls_dr9.tractor']
    """
    if isinstance(survey, CatalogPreset):
        return survey
    try:
        return CATALOG_PRESETS[survey]
    except (KeyError, TypeError):
        raise ValueError(
            f"there is no catalogue preset of {survey!r}: choose one of "
            f"{', '.join(CATALOG_PRESETS)}"
        ) from None


register_catalog_preset(
    CatalogPreset(
        survey="legacy-dr9",
        service="tap",
        endpoint="legacy_tap_url",
        tables={"ls_dr9.tractor": ""},
        source="ls_dr9.tractor",
        circle=_TAP_CIRCLE,
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
        conditions=legacy_conditions,
        optional=("ref_cat",),
        extras={
            "type": ("meta.code.class", "Morphological type of the Tractor fit"),
            "ref_cat": ("meta.ref", "Reference catalogue; L3 marks the large-galaxy atlas"),
        },
        composite_names=("release", "brickid", "objid"),
        composite_id=_legacy_id,
    )
)
register_catalog_preset(
    CatalogPreset(
        survey="sdss-dr17",
        service="skyserver",
        endpoint="sdss_sql_url",
        tables={"PhotoPrimary": "p"},
        # PhotoPrimary has one row per source, where PhotoObj repeats those of overlapping runs.
        source="PhotoPrimary AS p JOIN dbo.fGetNearbyObjEq({ra}, {dec}, {arcmin}) AS n "
        "ON n.objID = p.objID",
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
            ),
            "p",
        ),
        conditions=sdss_conditions,
    )
)
register_catalog_preset(
    CatalogPreset(
        survey="ps1-dr2",
        service="tap",
        endpoint="ps1_tap_url",
        tables={"dbo.ObjectThin": "o", "dbo.StackObjectThin": "s", "dbo.StackPetrosian": "p"},
        source="dbo.ObjectThin AS o JOIN dbo.StackObjectThin AS s ON s.objID = o.objID "
        "JOIN dbo.StackPetrosian AS p ON p.uniquePspsSTid = s.uniquePspsSTid "
        "AND p.objID = s.objID",
        circle=_TAP_CIRCLE,
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
        conditions=ps1_conditions,
    )
)
