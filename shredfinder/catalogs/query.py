"""Candidates around a position, from the surveys' servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from astropy import units as u

from shredfinder._utils.columns import find_column
from shredfinder._utils.runtime import progress_bar
from shredfinder._utils.units import to_floats, to_value
from shredfinder.catalogs.cache import QueryCache
from shredfinder.catalogs.fetching import CachedService, fetch_region
from shredfinder.catalogs.presets import get_catalog_preset
from shredfinder.catalogs.reddening import evaluate, fetch_dust_map
from shredfinder.catalogs.regions import Circle
from shredfinder.catalogs.skyserver import SkyServer
from shredfinder.catalogs.standard import empty_rows, raw_columns, standardize
from shredfinder.catalogs.tap import TapService, sort_columns
from shredfinder.config import conf
from shredfinder.cuts import extinction
from shredfinder.cuts.presets import get_preset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity
    from numpy.typing import ArrayLike

    from shredfinder._utils.types import PathLike
    from shredfinder.catalogs.presets import CatalogPreset
    from shredfinder.cuts.presets import CutPreset
    from shredfinder.table.tables import ShredTable

__all__ = ["count_sources", "query_candidates"]


def query_candidates(
    survey: str | CatalogPreset,
    center: SkyCoord,
    radius: float | Quantity,
    *,
    cuts: str | CutPreset | None = "paper",
    columns: Sequence[str] | Literal["all"] | None = None,
    ebv: float | Quantity | Callable[[SkyCoord], ArrayLike] | None = None,
    endpoint: str | None = None,
    cache: bool | PathLike | QueryCache = True,
    max_rows: int = 100_000,
    timeout: float | Quantity = 300.0,
    mode: str = "auto",
    push_down: bool = True,
    verify_counts: bool = True,
    progress: bool | Literal["auto"] = "auto",
) -> ShredTable:
    """Fetch satellite-galaxy candidates around a position from a survey's catalogue.

    Parameters
    ----------
    survey : str or CatalogPreset
        ``"legacy-dr9"``, ``"sdss-dr17"``, ``"ps1-dr2"`` or a preset of one's own.
    center : `~astropy.coordinates.SkyCoord`
        One position.
    radius : `~astropy.units.Quantity` or float
        Radius of the region; a plain number is in degrees.
    cuts : str, CutPreset or None, optional
        The cuts: one of `shredfinder.cuts.CUT_PRESETS`. None applies none, and fetches stars and
        bad measurements too.
    columns : sequence of str or "all", optional
        The survey's own columns to have as well, by the survey's names; ``"all"`` has those that
        the cuts read. Where a standard column has the name, ``raw_`` is put before it.
    ebv : float, `~astropy.units.Quantity` or callable, optional
        For PS1, which has no extinction: E(B-V) of Schlegel, Finkbeiner & Davis (1998) in mag, as
        one value or a function from a `~astropy.coordinates.SkyCoord` to values. By default
        IRSA's dust service is asked for its map of the region.
    endpoint : str, optional
        Base URL of the service, in place of that in `shredfinder.conf`.
    cache : bool, str, path-like or QueryCache, optional
        Whether to keep answers on disk and use those that are there, or where. See `QueryCache`.
    max_rows : int, optional
        The most rows to ask for in one request. More rows are fetched in parts of the region.
    timeout : float or `~astropy.units.Quantity`, optional
        Time that each request or job may take; a plain number is in seconds.
    mode : str, optional
        For TAP: ``"auto"`` runs queries for many rows as asynchronous jobs, ``"sync"`` none and
        ``"async"`` all. Where a service refuses jobs, queries are synchronous and smaller.
    push_down : bool, optional
        Whether the server applies what it can of the cuts. The result is the same without it.
    verify_counts : bool, optional
        Whether to have the server count the rows first. It is one more request for each part, and
        the only way to notice a service that cuts answers off without saying so.
    progress : bool or "auto", optional
        Whether to show a progress bar; ``"auto"`` shows it on a terminal and in a notebook.

    Returns
    -------
    candidates : `~shredfinder.ShredTable`
        The rows within the radius that pass, with units, UCDs and descriptions: ``objid``,
        ``ra``, ``dec``, the magnitudes ``g``, ``r`` and ``z`` (Legacy) or ``i``, corrected for
        extinction, and their errors ``g_err``, ..., ``gr_err``, ``r_eff``, ``mu_eff`` and
        ``mu_err``; then ``type`` and ``ref_cat`` for Legacy and ``ebv`` for PS1; then ``columns``.
        An empty region gives all columns and no row. ``meta`` says where it comes from.

    Raises
    ------
    ValueError
        If there is no such survey, cut preset or mode, or the radius or a number is out of range.
    TypeError
        If the centre is no single position.
    KeyError
        If the service's tables lack columns that are needed; it says which.
    shredfinder.exceptions.CatalogServiceError
        If the service does not answer, or not with what was asked for. Nothing is cached then.

    Notes
    -----
    Legacy DR9 is asked over TAP (``ls_dr9.tractor`` at NOIRLab's Data Lab), PS1 DR2 likewise
    (ObjectThin, StackObjectThin and StackPetrosian at MAST), SDSS DR17 in SQL (PhotoPrimary at
    SkyServer). Addresses and names are from the services' documentation; the package's tests run
    against servers of their own.

    The exact cuts are those of `shredfinder.cuts.candidate_cut`; the server removes only what
    they would remove. Parts of a region share no source: a source belongs to the part that holds
    its position.

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
    if cuts is not None:
        cuts = get_preset(cuts)
    if max_rows < 1:
        raise ValueError(f"max_rows must be at least 1: got {max_rows}")
    seconds = _to_seconds(timeout)
    wanted = raw_columns(preset, columns)
    service = _open_service(preset, endpoint, cache=cache, seconds=seconds, mode=mode)
    address = service.service.endpoint

    described, lacking = {}, ()
    if preset.service == "tap":
        described, lacking = _check_columns(service, preset, wanted)
    if preset.needs_ebv and ebv is None:
        ebv = fetch_dust_map(center, circle.radius, url=conf.dust_url, timeout=seconds)
    elif not preset.needs_ebv and ebv is not None:
        raise ValueError(f"ebv is not used for {preset.survey}, which has its own: leave it out")
    conditions = []
    if push_down and cuts is not None:
        options = {"max_extinction": _max_extinction(ebv, preset)} if preset.needs_ebv else {}
        conditions = preset.conditions(cuts, preset.qualified, **options)

    selected = {name: alias for name, alias in preset.columns.items() if name not in lacking}
    for name in wanted:
        if name.lower() not in {known.lower() for known in selected}:
            selected[name] = _home(name, preset, described)
    query = _QueryWriter(preset, circle, selected, conditions)
    with progress_bar(total=None, progress=progress, desc=preset.survey, unit="row") as bar:
        raw, n_parts = fetch_region(
            service,
            query,
            circle,
            position=(preset.ra, preset.dec),
            max_rows=max_rows,
            verify=verify_counts,
            bar=bar,
        )
    if raw is None or not len(raw):
        if preset.service == "tap":
            # What is empty comes with types and units all the same.
            raw, _ = service.ask(query(circle.boxes()[0], False), max_rows=max_rows, short=True)
            # A server is asked for a little more than the circle.
            raw = raw[:0]
        else:
            raw = empty_rows(preset, selected)
    n_rows = len(raw)
    values = None
    if preset.needs_ebv:
        ra, dec = (
            to_floats(raw[find_column(raw, name)], name, u.deg) for name in (preset.ra, preset.dec)
        )
        values = evaluate(ebv, ra, dec)
    table = standardize(
        raw,
        preset,
        cuts=cuts,
        columns=wanted,
        ebv=values,
        described={
            name: words for words_of in described.values() for name, words in words_of.items()
        },
    )
    from shredfinder.table import ShredTable

    candidates = ShredTable(table, copy=False)
    # FITS has keywords of eight characters.
    candidates.meta.update(
        {
            "survey": preset.survey,
            "service": address,
            "ra_cen": circle.ra,
            "dec_cen": circle.dec,
            "radius": circle.radius,
            "cuts": cuts.name if cuts is not None else "none",
            "nfetched": n_rows,
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
    cache: bool | PathLike | QueryCache = True,
    timeout: float | Quantity = 300.0,
) -> int:
    """Have a survey's server count all rows of its catalogue around a position.

    Parameters
    ----------
    survey, center, radius, endpoint, cache, timeout
        As `query_candidates` takes them.

    Returns
    -------
    n_rows : int
        Number of rows before any cut: stars and bad measurements too.

    Raises
    ------
    ValueError, TypeError, shredfinder.exceptions.CatalogServiceError
        As `query_candidates`.

    Notes
    -----
    A row within 0.004 arcsec of the circle's rim may be counted though it is outside.

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
    service = _open_service(preset, endpoint, cache=cache, seconds=seconds, mode="sync")
    query = _QueryWriter(preset, circle, {}, [], cover=False)
    return sum(service.count(query(box, True)) for box in circle.boxes())


def _to_seconds(timeout):
    seconds = to_value(timeout, "timeout", u.s)
    if not seconds > 0:
        raise ValueError(f"timeout must be positive: got {timeout}")
    return seconds


def _open_service(preset, endpoint, *, cache, seconds, mode):
    address = endpoint or getattr(conf, preset.endpoint)
    if preset.service == "tap":
        backend = TapService(address, timeout=seconds, mode=mode, async_rows=conf.async_rows)
    else:
        backend = SkyServer(address, timeout=seconds)
    return CachedService(backend, preset.survey, _open_cache(cache))


def _open_cache(cache):
    if cache is True:
        return QueryCache()
    if cache is False or cache is None:
        return None
    return cache if isinstance(cache, QueryCache) else QueryCache(cache)


def _max_extinction(ebv, preset):
    """Find the largest extinction in r, if it can be known before the rows are."""
    if callable(ebv):
        ebv = getattr(ebv, "maximum", None)
    if ebv is None:
        return None
    largest = float(np.max(to_floats(ebv, "ebv", u.mag)))
    if not np.isfinite(largest):
        return None
    return max(0.0, extinction(largest, "r", survey=preset.survey))


def _check_columns(service, preset, wanted):
    """Ask the service which columns it has, and say which are missing."""
    text = service.service.schema_query(list(preset.tables))
    answer, _ = service.ask(text, max_rows=100_000, short=True)
    described = sort_columns(answer, list(preset.tables))
    absent = [table for table, columns in described.items() if not columns]
    if absent:
        raise KeyError(
            f"{service.service.endpoint} has no table {', '.join(absent)} in its TAP_SCHEMA: give "
            "the endpoint of a service that has it, or a preset with the table's name there"
        )
    service.keep(text, answer)
    tables = {alias: table for table, alias in preset.tables.items()}
    optional = {name for role in preset.optional for name in preset.names_of(role)}
    missing, lacking = [], []
    for name, alias in preset.columns.items():
        if name.lower() not in described[tables[alias]]:
            (lacking if name in optional else missing).append((tables[alias], name))
    known = {name for columns in described.values() for name in columns}
    missing += [("every table", name) for name in wanted if name.lower() not in known]
    if missing:
        names = ", ".join(f"{name} ({table})" for table, name in missing)
        raise KeyError(
            f"{service.service.endpoint} lacks columns of {preset.survey}: {names}; give the "
            "endpoint of a service that has them, or a preset with the names that they have there"
        )
    return described, tuple(name for _, name in lacking)


def _home(name, preset, described):
    """Find the alias of the table that has a column."""
    for table, alias in preset.tables.items():
        if not described or name.lower() in described[table]:
            return alias
    return ""


class _QueryWriter:
    """Writes the query of a part of a region, or of the number of its rows."""

    def __init__(self, preset, circle, selected, conditions, *, cover=True):
        self.preset = preset
        self.circle = circle
        self.selected = selected
        self.conditions = conditions
        self.cover = cover

    def __call__(self, box, count):
        preset = self.preset
        ra, dec, radius = self.circle.ra, self.circle.dec, self.circle.padded_radius
        if preset.circle is None and self.cover:
            # A circle around the box spares the server the rest of a large region.
            cover = box.cover()
            if cover is not None and cover[2] < radius:
                ra, dec, radius = cover
        ra_col, dec_col = preset.qualified(preset.ra), preset.qualified(preset.dec)
        # As in the conditions, no exponents.
        fields = {"ra": f"{ra:.9f}", "dec": f"{dec:.9f}", "radius": f"{radius:.9f}"}
        fields |= {"arcmin": f"{60 * radius:.9f}", "ra_col": ra_col, "dec_col": dec_col}
        conditions = [] if preset.circle is None else [preset.circle.format(**fields)]
        conditions += box.condition(ra_col, dec_col) + self.conditions
        selected = "COUNT(*) AS n_rows"
        if not count:
            selected = ", ".join(
                f"{alias}.{name}" if alias else name for name, alias in self.selected.items()
            )
        source = preset.source.format(**fields)
        return f"SELECT {selected} FROM {source} WHERE {' AND '.join(conditions)}"
