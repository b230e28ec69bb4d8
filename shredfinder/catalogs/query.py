"""Candidates around a position, from the surveys' catalogue services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from astropy import units as u

from shredfinder._utils.runtime import progress_bar
from shredfinder._utils.units import to_floats, to_value
from shredfinder.catalogs.conditions import write_conditions
from shredfinder.catalogs.paging import CachedService, fetch_region
from shredfinder.catalogs.query_cache import QueryCache, open_cache
from shredfinder.catalogs.reddening import fetch_dust_map
from shredfinder.catalogs.regions import Circle
from shredfinder.catalogs.schema import (
    check_columns,
    find_alias,
    primary_condition,
    schema_query,
)
from shredfinder.catalogs.skyserver import SkyServer
from shredfinder.catalogs.standard import empty_rows, raw_columns, standardize
from shredfinder.catalogs.tap import TapService
from shredfinder.config import conf
from shredfinder.cuts import extinction, get_preset
from shredfinder.exceptions import ServiceError, StoppedError
from shredfinder.surveys import CatalogPreset, get_catalog_preset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity

    from shredfinder._utils.validation import PathLike
    from shredfinder.catalogs.regions import Box
    from shredfinder.catalogs.schema import Described
    from shredfinder.catalogs.standard import Reddening
    from shredfinder.cuts import CutPreset
    from shredfinder.table import ShredTable

__all__ = ["count_sources", "query_candidates"]

# Seconds that a service may take to describe its columns, if there is another one.
_PATIENCE = 60.0


def query_candidates(
    survey: str | CatalogPreset,
    center: SkyCoord,
    radius: float | Quantity,
    *,
    cuts: str | CutPreset | None = "paper",
    columns: Sequence[str] | Literal["all"] | None = None,
    ebv: Reddening | None = None,
    endpoint: str | None = None,
    cache: bool | PathLike | QueryCache | None = True,
    max_rows: int = 8000,
    timeout: float | Quantity = 300.0,
    mode: Literal["auto", "sync", "async"] = "auto",
    push_down: bool = True,
    verify_counts: bool = True,
    progress: bool | Literal["auto"] = "auto",
) -> ShredTable:
    """Query a survey's catalogue for satellite-galaxy candidates around a position.

    Parameters
    ----------
    survey : str or `~shredfinder.surveys.CatalogPreset`
        Name or alias of the survey, such as ``"legacy"`` or ``"sdss"``, or a catalogue
        elsewhere.
    center : `~astropy.coordinates.SkyCoord`
        A single position.
    radius : float or `~astropy.units.Quantity`
        Radius of the region in degrees, or an angle.
    cuts : str, CutPreset or None, optional
        The cuts, one of `shredfinder.cuts.CUT_PRESETS`. None applies no cut, so that stars and bad
        measurements are fetched too.
    columns : sequence of str or "all", optional
        The survey's columns to keep, by their names in the survey; ``"all"`` keeps those that the
        cuts read. A column with the name of a standard column gets the prefix ``raw_``.
    ebv : float, `~astropy.units.Quantity` or callable, optional
        For PS1, which has no extinction: E(B-V) of Schlegel, Finkbeiner & Davis (1998) in mag, as
        one value or as a function of a `~astropy.coordinates.SkyCoord`. By default a map of the
        region is fetched from IRSA's dust service.
    endpoint : str, optional
        Base URL of the service; by default that in `shredfinder.conf`.
    cache : bool, str, path-like or QueryCache, optional
        Whether to cache results and dust maps on disk, or the folder to cache them in. See
        `QueryCache`.
    max_rows : int, optional
        Maximum number of rows per request. Larger regions are split. Data Lab's users report
        interrupted queries above about 9,500 rows.
    timeout : float or `~astropy.units.Quantity`, optional
        Maximum duration of each request or job in seconds, or a time.
    mode : {"auto", "sync", "async"}, optional
        For TAP: run large queries (``"auto"``), no queries or all queries as asynchronous jobs.
        If the service refuses jobs, queries are synchronous and smaller.
    push_down : bool, optional
        Whether the server applies as much of the cuts as it can. The result is the same. Second
        entries of sources in overlaps are never sent.
    verify_counts : bool, optional
        Whether the server counts the rows first. This costs one request per part, and is the only
        way to notice a service that truncates results without saying so.
    progress : bool or "auto", optional
        Whether to show a progress bar; ``"auto"`` shows it on a terminal and in a notebook.

    Returns
    -------
    candidates : `~shredfinder.ShredTable`
        The rows within the radius that pass, with units, UCDs and descriptions: ``objid``,
        ``ra``, ``dec``, the extinction-corrected magnitudes ``g``, ``r`` and ``z`` (Legacy) or
        ``i``, their errors ``g_err``, ..., ``gr_err``, ``r_eff``, ``mu_eff`` and ``mu_err``; then
        ``type`` and ``ref_cat`` for Legacy; ``ebv``, E(B-V); then ``columns``. An empty region
        gives all columns and no rows. ``meta`` records survey, service, region and cuts.

    Raises
    ------
    ValueError
        If the survey, the cuts or the mode are unknown, or a number is out of range.
    TypeError
        If the centre is not a single position.
    KeyError
        If the service's tables lack required columns.
    shredfinder.exceptions.ServiceError
        If the service fails or its response is invalid. Such a response is not cached.

    Notes
    -----
    Legacy DR9 is queried over TAP (``ls_dr9.tractor`` at NOIRLab's Data Lab), as is PS1 DR2 at
    MAST: from ``ps1_dr2.stack_object`` and its companions at the newer service, or, if that does
    not respond or lacks columns, from ObjectThin, StackObjectThin and StackPetrosian at the older
    one, which needs circles of at most 0.24 degrees; ``meta["service"]`` names the service. SDSS
    DR17 is queried in SQL (PhotoPrimary at SkyServer). URLs and names are from the services'
    documentation; the package's tests run against local servers.

    The server applies slightly looser conditions, and `shredfinder.cuts.candidate_cut` applies the
    exact cuts to the rows that it sends. Each source belongs to exactly one part of a split region.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.coordinates import SkyCoord
    >>> from shredfinder.catalogs import query_candidates
    >>> ngc2903 = SkyCoord(143.0421, 21.5008, unit="deg")
    >>> table = query_candidates("legacy-dr9", ngc2903, 0.6 * u.deg)
    >>> table.colnames[:6]
    ['objid', 'ra', 'dec', 'g', 'r', 'z']
    """
    preset = get_catalog_preset(survey)
    circle = Circle.of(center, radius)
    cuts = get_preset(cuts) if cuts is not None else None
    if max_rows < 1:
        raise ValueError(f"max_rows must be at least 1: got {max_rows}")
    if not preset.needs_ebv and ebv is not None:
        raise ValueError(f"omit ebv for {preset.survey}: its catalogue includes the extinction")
    seconds = _to_seconds(timeout)
    # An invalid choice is refused before the first request.
    asked = raw_columns(preset, columns)
    # "all" means all that the service has: it needs none besides those of the preset.
    if isinstance(columns, str):
        asked = []
    # One cache for all queries, which warns once.
    cache = open_cache(cache)
    # A TAP service describes its tables, so missing columns are found before any row is fetched.
    service, preset, described, lacking = _choose_service(
        preset, endpoint, asked, cache=cache, seconds=seconds, mode=mode
    )
    wanted = [name for name in raw_columns(preset, columns) if name not in lacking]
    address = service.service.endpoint
    # Catalogues of uncorrected magnitudes need a map of E(B-V) before the cuts can be applied.
    if preset.needs_ebv and ebv is None:
        ebv = fetch_dust_map(center, circle.radius, url=conf.dust_url, timeout=seconds, cache=cache)
    # The server removes most rows; the exact cuts follow below.
    conditions: list[str] = []
    if push_down and cuts is not None:
        largest = _max_extinction(ebv, preset) if preset.needs_ebv else None
        conditions = write_conditions(preset, cuts, max_extinction=largest)
    conditions = primary_condition(preset, described) + conditions

    # The columns of the cuts, then those that the user asks for.
    selected = {name: alias for name, alias in preset.columns.items() if name not in lacking}
    for name in wanted:
        # SQL ignores case: the same column must not be selected twice.
        if name.lower() not in {known.lower() for known in selected}:
            selected[name] = find_alias(name, preset, described)
    query = _QueryWriter(preset, circle, selected, conditions)
    # Fetched in parts that the service can send completely.
    with progress_bar(total=None, progress=progress, desc=preset.survey, unit="row") as bar:
        raw, n_parts = fetch_region(
            service,
            query,
            circle,
            position=(preset.ra, preset.dec),
            max_rows=max_rows,
            max_radius=preset.max_radius,
            verify=verify_counts,
            bar=bar,
        )
    if raw is None:
        if preset.service == "tap":
            # An empty result has the columns' types and units. One small part is enough.
            box = circle.boxes(preset.max_radius)[0]
            while box.dec_max - box.dec_min > 0.1:
                box = box.split()[0]
            raw, _ = service.ask(query(box, False), max_rows=max_rows, short=True)
            # The margin around the circle may contain a row.
            raw = raw[:0]
        else:
            raw = empty_rows(preset, selected)
    # All tables' descriptions in one dict; names are unique among the selected columns.
    texts = {name: text for columns in described.values() for name, text in columns.items()}
    table = standardize(raw, preset, cuts=cuts, columns=wanted, ebv=ebv, described=texts)
    # Imported here because it brings the classifier along.
    from shredfinder.table import ShredTable

    candidates = ShredTable(table, copy=False)
    # FITS keywords have at most eight characters.
    candidates.meta.update(
        {
            "survey": preset.survey,
            "service": address,
            "ra_cen": circle.ra,
            "dec_cen": circle.dec,
            "radius": circle.radius,
            "cuts": cuts.name if cuts is not None else "none",
            "nfetched": len(raw),
            "nparts": n_parts,
        }
    )
    return candidates


def count_sources(
    survey: str | CatalogPreset,
    center: SkyCoord,
    radius: float | Quantity,
    *,
    endpoint: str | None = None,
    cache: bool | PathLike | QueryCache | None = True,
    timeout: float | Quantity = 300.0,
) -> int:
    """Count all rows of a survey's catalogue around a position.

    Parameters
    ----------
    survey, center, radius, endpoint, cache, timeout
        See `query_candidates`.

    Returns
    -------
    n_rows : int
        Number of rows before any cut, stars and bad measurements included, and second entries of
        sources in brick overlaps excluded.

    Raises
    ------
    ValueError, TypeError, KeyError, shredfinder.exceptions.ServiceError
        As for `query_candidates`.

    Notes
    -----
    Rows up to 0.004 arcsec outside the circle may be counted.

    Examples
    --------
    >>> import astropy.units as u
    >>> from astropy.coordinates import SkyCoord
    >>> from shredfinder.catalogs import count_sources
    >>> ngc2903 = SkyCoord(143.0421, 21.5008, unit="deg")
    >>> n_rows = count_sources("legacy-dr9", ngc2903, 0.6 * u.deg)
    >>> n_rows > 50
    True
    """
    preset = get_catalog_preset(survey)
    circle = Circle.of(center, radius)
    seconds = _to_seconds(timeout)
    cache = open_cache(cache)
    service, preset, described, _ = _choose_service(
        preset, endpoint, [], cache=cache, seconds=seconds, mode="sync"
    )
    # No columns and no cuts: every source within the circle counts.
    query = _QueryWriter(preset, circle, {}, primary_condition(preset, described), cover=False)
    return sum(service.count(query(box, True)) for box in circle.boxes(preset.max_radius))


def _to_seconds(timeout: float | Quantity) -> float:
    seconds = to_value(timeout, "timeout", u.s)
    if not seconds > 0:
        raise ValueError(f"timeout must be positive: got {timeout}")
    return seconds


def _choose_service(
    preset: CatalogPreset,
    endpoint: str | None,
    asked: list[str],
    *,
    cache: QueryCache | None,
    seconds: float,
    mode: Literal["auto", "sync", "async"],
) -> tuple[CachedService, CatalogPreset, Described, tuple[str, ...]]:
    """Open the first service of a catalogue that responds and has the columns.

    Returns
    -------
    service : CachedService
        The service.
    preset : CatalogPreset
        The catalogue as this service has it.
    described, lacking
        As from `check_columns`.
    """
    services = [*preset.mirrors, preset]
    if preset.service != "tap":
        service = _open_service(preset, endpoint, cache=cache, seconds=seconds, mode=mode)
        return service, preset, {}, ()
    if len(services) > 1:
        # A run resumes at the service whose results are in the cache.
        services.sort(key=lambda known: not _is_known(known, endpoint, cache))
    failures: list[str] = []
    for known in services[:-1]:
        # Give up soon on a service that does not respond, since there is another one.
        patience = min(seconds, _PATIENCE)
        quick = _open_service(known, endpoint, cache=cache, seconds=patience, mode="sync")
        try:
            found = check_columns(quick, known, asked)
        except StoppedError:
            raise
        except (ServiceError, KeyError) as error:
            failures.append(str(error))
            continue
        return _open_service(known, endpoint, cache=cache, seconds=seconds, mode=mode), *found
    last = services[-1]
    service = _open_service(last, endpoint, cache=cache, seconds=seconds, mode=mode)
    try:
        return service, *check_columns(service, last, asked)
    except (ServiceError, KeyError) as error:
        for failure in failures:
            error.add_note(f"tried before: {failure}")
        raise


def _is_known(preset: CatalogPreset, endpoint: str | None, cache: QueryCache | None) -> bool:
    """Return whether the cache holds the columns of a service."""
    address = (endpoint or getattr(conf, preset.endpoint)).rstrip("/")
    key = preset.survey, address, schema_query(list(preset.tables))
    return cache is not None and cache.read(key) is not None


def _open_service(
    preset: CatalogPreset,
    endpoint: str | None,
    *,
    cache: QueryCache | None,
    seconds: float,
    mode: str,
) -> CachedService:
    address = endpoint or getattr(conf, preset.endpoint)
    backend: TapService | SkyServer
    if preset.service == "tap":
        backend = TapService(address, timeout=seconds, mode=mode, async_rows=conf.async_rows)
    else:
        backend = SkyServer(address, timeout=seconds)
    return CachedService(backend, preset.survey, cache)


def _max_extinction(ebv: Reddening | None, preset: CatalogPreset) -> float | None:
    """Return the largest extinction in r within the region, if known before the query."""
    if callable(ebv):
        # A DustMap has a maximum; other functions can be evaluated at known positions only.
        ebv = getattr(ebv, "maximum", None)
    if ebv is None:
        return None
    # The bound is only useful if it is finite, and negative values would tighten it.
    largest = float(np.max(to_floats(ebv, "ebv", u.mag)))
    if not np.isfinite(largest):
        return None
    return max(0.0, extinction(largest, "r", survey=preset.survey))


class _QueryWriter:
    """Writes the query for the rows in a part of a region, or for their number."""

    def __init__(
        self,
        preset: CatalogPreset,
        circle: Circle,
        selected: dict[str, str],
        conditions: list[str],
        *,
        cover: bool = True,
    ) -> None:
        self.preset = preset
        self.circle = circle
        self.selected = selected
        self.conditions = conditions
        self.cover = cover

    def __call__(self, box: Box, count: bool) -> str:
        preset = self.preset
        ra, dec, radius = self.circle.ra, self.circle.dec, self.circle.padded_radius
        too_large = preset.max_radius is not None and radius > preset.max_radius
        if too_large or (preset.circle is None and self.cover):
            # A circle around the box saves the server from searching the rest of a large region,
            # which some services refuse.
            cover = box.cover()
            if cover is not None and cover[2] < radius:
                ra, dec, radius = cover
        ra_col, dec_col = preset.qualified(preset.ra), preset.qualified(preset.dec)
        # No exponents, as in the conditions.
        fields = {"ra": f"{ra:.9f}", "dec": f"{dec:.9f}", "radius": f"{radius:.9f}"}
        fields |= {"arcmin": f"{60 * radius:.9f}", "ra_col": ra_col, "dec_col": dec_col}
        conditions = [] if preset.circle is None else [preset.circle.format(**fields)]
        conditions += box.condition(ra_col, dec_col) + self.conditions
        if too_large and not self.cover:
            conditions.append(self.circle.condition(ra_col, dec_col))
        selected = "COUNT(*) AS n_rows"
        if not count:
            selected = ", ".join(
                f"{alias}.{name}" if alias else name for name, alias in self.selected.items()
            )
        source = preset.source.format(**fields)
        return f"SELECT {selected} FROM {source} WHERE {' AND '.join(conditions)}"
