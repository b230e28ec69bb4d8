"""Find satellites: query, cuts, hosts, cutouts and scores in one call."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, Table

from shredfinder._utils.fractions import check_threshold
from shredfinder._utils.units import to_bools, to_value
from shredfinder.catalogs import count_sources, get_catalog_preset, query_candidates, resolve_name
from shredfinder.config import conf
from shredfinder.cuts import get_preset
from shredfinder.exceptions import ServiceError, ShredfinderWarning
from shredfinder.hosts import (
    associate_shreds,
    find_host,
    host_distances,
    join_hosts,
    read_hosts,
    read_nsa,
    select_hosts,
)
from shredfinder.hosts.ellipse import is_large_galaxy_entry
from shredfinder.imaging import CutoutFlag
from shredfinder.pipeline.merged_sample import merge_search, near_shreds, widen
from shredfinder.pipeline.pictures import choose_galleries, make_field_view
from shredfinder.pipeline.satellites import SatelliteSearch, count_steps
from shredfinder.pipeline.steps import StepFolder, digest_table, name_hosts, name_images, to_plain
from shredfinder.surveys import DEFAULT_SURVEY
from shredfinder.table.patterns import DEFAULT_PATTERN
from shredfinder.table.scoring import load_classifier, make_fetcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astropy.cosmology import FLRW
    from astropy.units import Quantity

    from shredfinder._utils.validation import PathLike
    from shredfinder.catalogs import CatalogPreset
    from shredfinder.cutouts import CutoutFetcher, CutoutService
    from shredfinder.cuts import CutPreset
    from shredfinder.hosts.distances import DistanceKind
    from shredfinder.models.scorer import ImageScorer
    from shredfinder.table import ShredTable

__all__ = ["find_satellites"]

# Flags of unscored rows that can be retried: a service or a file may be back.
_RETRIABLE = [
    flag.value
    for flag in (
        CutoutFlag.FAILED,
        CutoutFlag.MISSING,
        CutoutFlag.CORRUPTED,
        CutoutFlag.NOT_AN_IMAGE,
        CutoutFlag.WRONG_SIZE,
    )
]


class _Distances(TypedDict):
    """How the distances of hosts are computed, as arguments of `host_distances`."""

    cosmology: FLRW | None
    distance: DistanceKind


def find_satellites(
    center: str | SkyCoord,
    survey: str | CatalogPreset = DEFAULT_SURVEY,
    *,
    radius: float | Quantity | None = None,
    hosts: PathLike | Table | None = "nsa",
    host_radius: float | Quantity = 100 * u.kpc,
    cosmology: FLRW | None = None,
    distance: DistanceKind = "angular-diameter",
    cuts: str | CutPreset = "paper",
    classifier: ImageScorer | PathLike | None = None,
    cutouts: PathLike | None = None,
    pattern: str | None = None,
    prior: float | Literal["estimate"] | None = None,
    threshold: float = 0.5,
    allow_other_colors: bool = False,
    query: dict[str, Any] | None = None,
    service: str | CutoutService | CutoutFetcher | None = None,
    merge: bool = False,
    pictures: bool = True,
    field_width: float | Quantity | None = None,
    folder: PathLike | None = None,
    resume: bool = True,
    progress: bool | Literal["auto"] = "auto",
) -> SatelliteSearch:
    """Find satellite-galaxy candidates around a position, and remove the shreds among them.

    Query the survey's catalogue, apply the cuts, match the candidates to hosts, fetch their
    cutouts, score them, and count the rows after each step.

    Parameters
    ----------
    center : str or `~astropy.coordinates.SkyCoord`
        Position, or name of a host galaxy, resolved by Sesame.
    survey : str or CatalogPreset, optional
        Catalogue of the candidates: the name or alias of a survey, such as ``"sdss"``.
    radius : `~astropy.units.Quantity` or float, optional
        Radius of the region; a plain number is in degrees. By default the angle of
        ``host_radius`` at the distance of the host at the centre.
    hosts : str, path-like, `~astropy.table.Table` or None, optional
        The hosts: ``"nsa"`` for the NASA-Sloan Atlas (several gigabytes, downloaded once), or a
        file or table accepted by `~shredfinder.hosts.read_hosts`. None keeps all candidates,
        without matching them to hosts.
    host_radius : `~astropy.units.Quantity` or float, optional
        Largest projected separation from a host; a plain number is in kpc.
    cosmology : `~astropy.cosmology.FLRW`, optional
        Cosmology for distances from redshifts; by default astropy's default cosmology.
    distance : {"angular-diameter", "hubble"}, optional
        The distance to compute from a redshift; see `~shredfinder.hosts.host_distances`.
    cuts : str or CutPreset, optional
        Cut preset: one of `shredfinder.cuts.CUT_PRESETS`.
    classifier : ShredClassifier or path-like, optional
        Classifier or model file; by default the embedded model.
    cutouts, pattern : path-like and str, optional
        Folder of cutouts and pattern of their file names, by default ``"{objID}.png"``. Without
        a folder, cutouts are fetched by position.
    prior, allow_other_colors
        See `~shredfinder.add_p_cnn`.
    threshold : float, optional
        Candidates with ``p_cnn`` at or above it are shreds.
    query : dict, optional
        Further arguments of `~shredfinder.catalogs.query_candidates`, such as ``columns``,
        ``ebv``, ``cache`` and ``timeout``. The addresses of services are set in
        `shredfinder.conf`.
    service : str, CutoutService or CutoutFetcher, optional
        Where cutouts are fetched from, as for `~shredfinder.add_p_cnn`. By default images of the
        Legacy Surveys are fetched for the candidates of any survey, as in the paper.
    merge : bool, optional
        Whether to merge shreds with their galaxies and to apply the cuts in magnitude, surface
        brightness and colour again: see `merge_sample`. Rows within 60″ of a shred that fail only
        these cuts are queried and scored too. The result is ``search.merged``.
    pictures : bool, optional
        Whether to collect the pictures of a report: the field around the centre, which queries
        both Legacy and SDSS, and examples of shreds and galaxies.
    field_width : `~astropy.units.Quantity` or float, optional
        Width of that field; a plain number is in arcsec. By default 134 arcsec, as in the paper.
    folder : path-like, optional
        Folder for each step's table and, unless ``fetch`` names another cache, the cutouts. An
        interrupted search resumes from it.
    resume : bool, optional
        Whether to reuse the tables in that folder.
    progress : bool or "auto", optional
        Whether to show progress bars; ``"auto"`` shows them on a terminal and in a notebook.

    Returns
    -------
    search : SatelliteSearch
        Candidates, counts, hosts and pictures; ``search.satellites`` is the clean table.

    Raises
    ------
    ValueError
        If the name is unknown, the radius cannot be determined, or an option is invalid.
    shredfinder.exceptions.ServiceError
        If a catalogue service fails. Finished steps stay in ``folder``.
    FileNotFoundError
        If a file of hosts or a folder of cutouts does not exist.
    KeyError
        If the table of hosts lacks a column.
    TypeError, astropy.units.UnitsError
        If an argument has the wrong type or unit.

    Warns
    -----
    ShredfinderWarning
        If hosts are left out, no host is near the region, or a service for the pictures fails.

    Notes
    -----
    SDSS and PS1 candidates outside the footprint of the images are unscored (``blank`` or ``no
    coverage``), and excluded from the fractions and the clean table. The entries of the hosts
    themselves (``host_entry``) are excluded too.

    Unless a prior is given, ``p_cnn`` assumes the training set's 38 % shred fraction.

    Examples
    --------
    >>> from shredfinder.pipeline import find_satellites
    >>> search = find_satellites("NGC 2903", folder="ngc2903/")
    >>> search.satellites.write("ngc2903.fits")
    >>> search.counts["step"].tolist()
    ['catalogue', 'query', 'cuts', 'hosts', 'cutouts', 'score', 'galaxies', 'satellites']
    """
    # All names are looked up before any request is sent.
    preset, cut = get_catalog_preset(survey), get_preset(cuts)
    limit = check_threshold(threshold)
    if cutouts is not None and service is not None:
        raise ValueError("got both cutouts and service: leave out one of them")
    classifier = load_classifier(classifier)
    query = dict(query or {})
    steps = StepFolder(folder, resume=resume)
    if cutouts is None:
        fetcher = make_fetcher(classifier, service)
        if steps.path is not None and fetcher.cache is True:
            # A folder given by the user holds the images too, so that it is complete.
            fetcher = replace(fetcher, cache=steps.path / "cutouts")
        images: dict[str, Any] = {"service": fetcher}
    else:
        images = {"cutouts": cutouts, "pattern": pattern or DEFAULT_PATTERN}
    # Options that change the scores, and therefore belong to the record of that step.
    scoring = {"prior": prior, "allow_other_colors": allow_other_colors}
    reach = to_value(host_radius, "host_radius", u.kpc) * u.kpc
    with steps, _recorded_warnings() as messages:
        name, center = _resolve_center(center, steps, query)
        table = get_hosts(hosts)
        distances: _Distances = {"cosmology": cosmology, "distance": distance}
        region_radius = _region_radius(radius, table, center, reach, distances)
        # Settings of the query, for the record that decides whether its table is reused.
        where = {"ra": center.ra.deg, "dec": center.dec.deg, "radius": region_radius.value}
        endpoint = query.get("endpoint") or getattr(conf, preset.endpoint)
        region = where | {"survey": repr(preset), "cuts": repr(cut), "endpoint": endpoint}
        region |= to_plain(query)

        def query_region() -> Table:
            found = query_candidates(
                preset, center, region_radius, cuts=cut, progress=progress, **query
            )
            found.meta["ncatalog"] = _count_region(preset, center, region_radius, query)
            return found

        candidates = steps.run("query", query_region, region)
        # Only these hosts affect the result: others in the catalogue may change.
        nearby = None
        if table is not None:
            nearby = select_hosts(table, center, region_radius, host_radius=reach, **distances)
            if not len(nearby):
                warnings.warn(
                    "no host is near the region, so all candidates are left out: hosts=None keeps "
                    "them",
                    ShredfinderWarning,
                )
        matched = steps.run(
            "hosts",
            lambda: _match_hosts(candidates, nearby, center, reach, distances),
            {
                "hosts": digest_table(nearby),
                "kpc": reach.value,
                "cosmology": repr(cosmology),
                "distance": distance,
            },
            after=["query"],
        )
        scored = steps.run(
            "score",
            lambda: _score(
                matched,
                classifier,
                images,
                scoring,
                progress,
                # A warning has said already that no host is near, so that no candidate is left.
                quiet=nearby is not None and not len(nearby),
            ),
            {
                "model": classifier.provenance,
                **scoring,
                **{key: to_plain(value) for key, value in images.items()},
                # A mirror may hold other images.
                "viewer": conf.legacy_viewer_url,
            },
            after=["hosts"],
            # Retry images that a service failed to deliver.
            accept=lambda found: not np.isin(found["p_cnn_flag"], _RETRIABLE).any(),
        )

        def find_neighbours(wide: CutPreset) -> ShredTable:
            found = query_candidates(
                preset, center, region_radius, cuts=wide, progress=progress, **query
            )
            rows = near_shreds(_match_hosts(found, nearby, center, reach, distances), scored, limit)
            return _score(rows, classifier, images, scoring, progress, quiet=True)

        search = SatelliteSearch(
            candidates=scored,
            counts=count_steps(candidates, scored, limit),
            hosts=_count_by_host(scored, nearby, reach, distances, limit),
            center=center,
            radius=region_radius,
            name=name,
            survey=preset.survey,
            threshold=limit,
            settings={
                "survey": preset.survey,
                "catalogue": endpoint,
                "cuts": f"{cut.name}: {cut.description} ({cut.source})",
                "hosts": name_hosts(hosts),
                "host radius kpc": float(reach.value),
                "host distance": distance,
                "images": name_images(images),
                "model": classifier.provenance,
                "prior": prior,
            },
        )
        if merge:
            wide = widen(cut)
            neighbours = steps.run(
                "neighbours",
                lambda: find_neighbours(wide),
                {"cuts": repr(wide), "threshold": limit},
                after=["score"],
                accept=lambda found: not np.isin(found["p_cnn_flag"], _RETRIABLE).any(),
            )
            search.merged = merge_search(
                scored, neighbours, classifier, images, cuts=cut, hosts=nearby, threshold=limit,
                pictures=pictures,
            )  # fmt: skip
        if pictures:
            examples = {"shreds": search.shreds, "galaxies": search.satellites}
            search.galleries = choose_galleries(examples, classifier, images)
        if pictures and cutouts is None:
            search.view = make_field_view(
                center,
                classifier,
                width=field_width,
                name=name,
                cuts=cut,
                service=fetcher,
                # Columns and E(B-V) do not apply to the queries of the field.
                query={key: query[key] for key in ("cache", "timeout") if key in query},
                steps=steps,
                **scoring,
            )
    search.warnings = messages
    return search


@contextmanager
def _recorded_warnings() -> Iterator[list[str]]:
    """Yield a list that holds the messages of the package's warnings at the end."""
    messages: list[str] = []
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ShredfinderWarning)
            yield messages
    finally:
        # Recording hides the warnings: show them now.
        for warning in caught:
            if issubclass(warning.category, ShredfinderWarning):
                messages.append(" ".join(str(warning.message).split()))
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )  # fmt: skip


def _resolve_center(
    center: str | SkyCoord, steps: StepFolder, query: dict[str, Any]
) -> tuple[str, SkyCoord]:
    if isinstance(center, SkyCoord):
        if not center.isscalar:
            raise TypeError(f"center must be a single position: got {len(center)} positions")
        return "", center.icrs

    def look_up() -> Table:
        found = resolve_name(center, **{key: query[key] for key in ("timeout",) if key in query})
        return Table({"name": [center], "ra": [found.ra.deg], "dec": [found.dec.deg]})

    settings = {"name": center, "resolver": conf.resolver_url}
    # A resumed search needs no resolver.
    row = steps.run("center", look_up, settings)[0]
    return center, SkyCoord(row["ra"], row["dec"], unit="deg")


def get_hosts(hosts: PathLike | Table | None) -> Table | None:
    """Read the hosts given to `find_satellites`; None for none."""
    if hosts is None:
        return None
    if isinstance(hosts, str) and hosts == "nsa":
        return read_nsa()
    return read_hosts(hosts)


def _region_radius(
    radius: float | Quantity | None,
    hosts: Table | None,
    center: SkyCoord,
    host_radius: Quantity,
    distances: _Distances,
) -> Quantity:
    if radius is not None:
        return to_value(radius, "radius", u.deg) * u.deg
    # By default the region is the projected radius of the host at the centre.
    at_center = None if hosts is None else find_host(hosts, center)
    if hosts is None or at_center is None:
        raise ValueError(
            "the radius of the region cannot be determined, because no host is at the centre: give "
            "radius="
        )
    distance = host_distances(hosts[at_center : at_center + 1], **distances)[0]
    if not np.isfinite(distance):
        raise ValueError(
            "the radius of the region cannot be determined, because the host at the centre has no "
            "usable distance: give radius="
        )
    return (host_radius / distance).to(u.deg, u.dimensionless_angles())


def _count_region(
    preset: CatalogPreset, center: SkyCoord, radius: Quantity, query: dict[str, Any]
) -> int:
    options = {key: query[key] for key in ("endpoint", "cache", "timeout") if key in query}
    try:
        return count_sources(preset, center, radius, **options)
    except ServiceError as error:
        # The number is only for the record: the search goes on without it.
        message = " ".join(str(error).split())
        warnings.warn(
            f"the sources in the region could not be counted: {message}", ShredfinderWarning
        )
        return -1


def _match_hosts(
    candidates: ShredTable,
    hosts: Table | None,
    center: SkyCoord,
    host_radius: Quantity,
    distances: _Distances,
) -> Table:
    if hosts is not None:
        return join_hosts(candidates, hosts, host_radius, **distances)
    matched = candidates.copy()
    sky = SkyCoord(np.asarray(matched["ra"]), np.asarray(matched["dec"]), unit="deg")
    entry = np.zeros(len(matched), dtype=bool)
    if "ref_cat" in matched.colnames and len(matched):
        entry |= is_large_galaxy_entry(matched["ref_cat"])
    matched["separation"] = Column(
        sky.separation(center).to_value(u.arcsec),
        unit=u.arcsec,
        description="Angle from the centre of the region",
        meta={"ucd": "pos.angDistance"},
    )
    matched["host_entry"] = Column(
        entry, description="Whether it is the entry of a large galaxy", meta={"ucd": "meta.code"}
    )
    return matched


def _score(
    candidates: ShredTable,
    classifier: ImageScorer,
    images: dict[str, Any],
    scoring: dict[str, Any],
    progress: bool | Literal["auto"],
    *,
    quiet: bool,
) -> ShredTable:
    # A step's table is kept as it is, for the steps' record and the counts.
    scored = candidates.copy()
    with warnings.catch_warnings():
        if quiet:
            warnings.filterwarnings("ignore", "the table has no rows", ShredfinderWarning)
        scored.add_p_cnn(classifier, **images, **scoring, progress=progress)
    return scored


def _count_by_host(
    scored: ShredTable,
    hosts: Table | None,
    host_radius: Quantity,
    distances: _Distances,
    threshold: float,
) -> Table:
    if hosts is None or not len(scored):
        return Table()
    # The entry of a host is not one of its satellites.
    rows = scored[~to_bools(scored["host_entry"], "host_entry")]
    with warnings.catch_warnings():
        # Warns of unscored rows, which the summary counts already.
        warnings.simplefilter("ignore", ShredfinderWarning)
        found = associate_shreds(rows, hosts, host_radius, threshold=threshold, **distances)
    return found.hosts
