"""The description of a survey's source catalogue: service, tables and column names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CatalogPreset"]


# ADQL condition for positions within a circle.
_ADQL_CIRCLE = (
    "1 = CONTAINS(POINT('ICRS', {ra_col}, {dec_col}), CIRCLE('ICRS', {ra}, {dec}, {radius}))"
)


@dataclass(frozen=True)
class CatalogPreset:
    """Where a survey's source catalogue is served, and what its columns are called.

    Columns are addressed by *role*: ``"flux"`` is ``flux_r`` in Legacy, and so on.

    Attributes
    ----------
    survey : str
        Name of the survey, one of `shredfinder.surveys.SURVEYS`.
    criteria : {"legacy", "sdss", "ps1"}
        The quality cut that fits the columns: `~shredfinder.cuts.legacy_quality_cut`,
        `~shredfinder.cuts.sdss_quality_cut` or `~shredfinder.cuts.ps1_quality_cut`.
    bands : tuple of str
        Bands of the quality cut, in the order of its per-band arguments.
    names : dict
        Column name of each role; ``{band}`` is replaced by the band.
    service : {"tap", "skyserver"}
        Type of service: TAP, or SkyServer's SQL search.
    endpoint : str
        Name of the item of `shredfinder.conf` that holds the service's URL.
    tables : dict
        Alias of each table in the query.
    source : str
        The FROM clause. ``{ra}``, ``{dec}``, ``{radius}`` (deg) and ``{arcmin}`` are replaced by
        the circle to search.
    objid, ra, dec : str
        Column names of identifier and position.
    aliases : dict
        Table alias of each queried column, by role or by column name.
    circle : str or None
        Condition that selects the circle, with the same fields and ``{ra_col}`` and
        ``{dec_col}``: ADQL by default; None if ``source`` selects the circle already.
    missing : float or None
        Value that the survey writes for a missing measurement.
    optional : tuple of str
        Roles whose columns may be absent from the table.
    extras : dict
        UCD and description of each role that is added to the standard columns of the result.
    max_radius : float or None
        Largest radius in degrees of a circle that the service accepts; larger regions are divided.
    join : tuple of str
        Columns by which the tables are joined. If given, ``source`` is written at run time: each
        column is taken from the first of ``tables`` that has it, and only the tables that are
        needed are joined to the first one.
    mirrors : tuple of CatalogPreset
        Other services with the same catalogue. They are tried before this one, in order, and the
        first that responds and has the columns is used.
    primary : str or None
        Column that is 1 for one of several entries of a source in overlapping images, and 0 for
        the others, which are neither queried nor read; ignored where the column is absent.
    composite_names : tuple of str
        Columns that together identify a source, for files without ``objid``.
    composite_id : callable or None
        Function that computes ``objid`` from those columns.

    Examples
    --------
    >>> from shredfinder.surveys import get_catalog_preset
    >>> preset = get_catalog_preset("legacy")
    >>> preset.source, preset.endpoint, preset.names_of("rchisq")
    ('ls_dr9.tractor', 'legacy_tap_url', ['rchisq_g', 'rchisq_r', 'rchisq_z'])
    >>> preset.name("flux", "r"), preset.bands
    ('flux_r', ('g', 'r', 'z'))
    """

    survey: str
    criteria: Literal["legacy", "sdss", "ps1"]
    bands: tuple[str, ...]
    names: dict[str, str]
    service: Literal["tap", "skyserver"]
    endpoint: str
    tables: dict[str, str]
    source: str
    objid: str
    ra: str
    dec: str
    aliases: dict[str, str]
    circle: str | None = _ADQL_CIRCLE
    missing: float | None = None
    optional: tuple[str, ...] = ()
    extras: dict[str, tuple[str, str]] = field(default_factory=dict)
    max_radius: float | None = None
    join: tuple[str, ...] = ()
    mirrors: tuple[CatalogPreset, ...] = ()
    primary: str | None = None
    composite_names: tuple[str, ...] = ()
    # The repr identifies a run on disk: a function's address would change it at each start.
    composite_id: Callable[..., Any] | None = field(default=None, repr=False)

    @property
    def columns(self) -> dict[str, str]:
        """dict: Table alias of each queried column, by column name."""
        return {name: alias for role, alias in self.aliases.items() for name in self.names_of(role)}

    @property
    def needs_ebv(self) -> bool:
        """bool: Whether the catalogue has no extinction, so that E(B-V) must be supplied."""
        return not {"dered_mag", "extinction", "mw_transmission"} & set(self.aliases)

    def name(self, role: str, band: str | None = None) -> str:
        """Return the name of the column with a role.

        Parameters
        ----------
        role : str
            A key of ``names``, or a column name, which is returned unchanged.
        band : str, optional
            Band, for roles with one column per band.

        Returns
        -------
        name : str
            The column name.
        """
        return self.names.get(role, role).format(band=band)

    def names_of(self, role: str) -> list[str]:
        """List the columns with a role: one, or one per band.

        Parameters
        ----------
        role : str
            A key of ``names``, or a column name.

        Returns
        -------
        names : list of str
            The column names.
        """
        if "{band}" not in self.names.get(role, role):
            return [self.name(role)]
        return [self.name(role, band) for band in self.bands]

    def qualified(self, role: str, band: str | None = None) -> str:
        """Return the name of a column with its table's alias, for use in a query.

        Parameters
        ----------
        role : str
            A key of ``names``, or a column name.
        band : str, optional
            Band, for roles with one column per band.

        Returns
        -------
        name : str
            ``alias.column``, or the column name alone where the table has no alias.
        """
        alias = self.aliases.get(role, "")
        name = self.name(role, band)
        return f"{alias}.{name}" if alias else name
