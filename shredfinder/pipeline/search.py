"""From a patch of sky to a clean satellite catalogue, in one call."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Column, Table

from shredfinder._utils.fractions import check_threshold
from shredfinder._utils.units import to_value
from shredfinder.catalogs import count_sources, get_catalog_preset, query_candidates, resolve_name
from shredfinder.config import conf
from shredfinder.cuts import get_preset
from shredfinder.exceptions import CatalogServiceError, ShredfinderWarning
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
from shredfinder.pipeline.examples import choose_galleries
from shredfinder.pipeline.result import SatelliteSearch, count_steps
from shredfinder.pipeline.settings import digest_table, name_hosts, name_images, to_plain
from shredfinder.pipeline.steps import StepFolder
from shredfinder.pipeline.view import make_field_view

if TYPE_CHECKING:
    from astropy.cosmology import FLRW
    from astropy.units import Quantity

    from shredfinder._utils.types import PathLike
    from shredfinder.catalogs.presets import CatalogPreset
    from shredfinder.classifier import ShredClassifier
    from shredfinder.cuts.presets import CutPreset

__all__ = ["find_satellites"]

# Why rows have no answer that another try may have.
_MENDABLE = [
    flag.value
    for flag in (
        CutoutFlag.FAILED,
        CutoutFlag.MISSING,
        CutoutFlag.CORRUPTED,
        CutoutFlag.NOT_AN_IMAGE,
        CutoutFlag.WRONG_SIZE,
    )
]


def find_satellites(
    center: str | SkyCoord,
    survey: str | CatalogPreset = "legacy-dr9",
    *,
    radius: float | Quantity | None = None,
    hosts: PathLike | Table | None = "nsa",
    host_radius: float | Quantity = 100 * u.kpc,
    cosmology: FLRW | None = None,
    cuts: str | CutPreset = "paper",
    classifier: ShredClassifier | None = None,
    cutouts: PathLike | None = None,
    pattern: str | None = None,
    prior: float | Literal["estimate"] | None = None,
    threshold: float = 0.5,
    allow_other_colors: bool = False,
    query: dict[str, Any] | None = None,
    fetch: dict[str, Any] | None = None,
    pictures: bool = True,
    field_width: float | Quantity | None = None,
    folder: PathLike | None = None,
    resume: bool = True,
    progress: bool | Literal["auto"] = "auto",
) -> SatelliteSearch:
    """Find the satellite-galaxy candidates around a position, without the shreds among them.

    It asks the survey's catalogue, applies the cuts, ties the candidates to their hosts, fetches
    their cutouts, scores them, and counts the rows after each step.

    Parameters
    ----------
    center : str or `~astropy.coordinates.SkyCoord`
        Name of a host galaxy, which astropy's name resolver looks up, or a position.
    survey : str or CatalogPreset, optional
        The catalogue: ``"legacy-dr9"``, ``"sdss-dr17"`` or ``"ps1-dr2"``.
    radius : `~astropy.units.Quantity` or float, optional
        Radius of the region; a plain number is in degrees. By default it is what ``host_radius``
        spans at the distance of the host at the centre.
    hosts : str, path-like, `~astropy.table.Table` or None, optional
        The hosts: ``"nsa"`` for the NASA-Sloan Atlas, which is downloaded once, some gigabytes;
        a file or table for `~shredfinder.hosts.read_hosts`. None ties candidates to no
        host and keeps them all.
    host_radius : `~astropy.units.Quantity` or float, optional
        Projected radius around a host within which candidates are kept; a plain number is in kpc.
    cosmology : `~astropy.cosmology.FLRW`, optional
        For distances from redshifts; astropy's default one if none is given.
    cuts : str or CutPreset, optional
        The cuts: one of `shredfinder.cuts.CUT_PRESETS`.
    classifier : ShredClassifier, optional
        Scores the cutouts; by default the model that comes with the package.
    cutouts, pattern : path-like and str, optional
        A folder of cutouts and the name of each row's file in it, such as ``"{objid}.png"``. By
        default cutouts are fetched by position.
    prior, allow_other_colors
        As `~shredfinder.add_p_cnn` takes them.
    threshold : float, optional
        A candidate of this ``p_cnn`` or more is a shred.
    query : dict, optional
        Further arguments of `~shredfinder.catalogs.query_candidates`, such as ``columns``,
        ``ebv``, ``cache`` and ``timeout``. Addresses of services are items of
        `shredfinder.conf`.
    fetch : dict, optional
        How cutouts are fetched: arguments of `~shredfinder.cutouts.fetch_cutouts` such as
        ``service``, ``layer``, ``base_url``, ``cache`` and ``rate``. Whatever the survey of the
        candidates, images are those of the Legacy Surveys by default, as in the paper.
    pictures : bool, optional
        Whether to collect what a report shows: the field around the centre, with a query of both
        Legacy and SDSS, and examples of shreds and galaxies.
    field_width : `~astropy.units.Quantity` or float, optional
        Side of that field; a plain number is in arcsec. By default 134 arcsec, as in the paper.
    folder : path-like, optional
        Where each step's table is kept, and the cutouts, if ``fetch`` names no other cache. The
        same call goes on from there where it stopped.
    resume : bool, optional
        Whether to use what is in that folder.
    progress : bool or "auto", optional
        Whether to show progress bars; ``"auto"`` does on a terminal and in a notebook.

    Returns
    -------
    search : SatelliteSearch
        Candidates, counts, hosts and pictures; ``search.satellites`` is the clean table.

    Raises
    ------
    ValueError
        If the name is not known, the radius can't be found out, or an option is not valid.
    shredfinder.exceptions.CatalogServiceError
        If a catalogue service does not answer. Steps that were done stay in ``folder``.
    FileNotFoundError, KeyError, TypeError, astropy.units.UnitsError
        As the functions of each step.

    Warns
    -----
    ShredfinderWarning
        If hosts are left out, no host is in reach, or a service for the pictures fails.

    Notes
    -----
    SDSS and PS1 candidates outside the footprint of the images are flagged ``blank`` or ``no
    coverage``: they have no answer, and are in no fraction and not in the clean table. Nor is the
    entry of a host itself (``host_entry``), which is a galaxy and no satellite.

    Fractions are those of ``p_cnn`` at or above the threshold. ``p_cnn`` holds at the training
    mix, 40 % shreds, unless a prior is given.

    Examples
    --------
    >>> from shredfinder.pipeline import find_satellites
    >>> search = find_satellites("NGC 2903", folder="ngc2903/")
    >>> search.satellites.write("ngc2903.fits")
    >>> search.counts["step"].tolist()
    ['catalogue', 'query', 'cuts', 'hosts', 'cutouts', 'score', 'galaxies', 'satellites']
    """
    preset, cut = get_catalog_preset(survey), get_preset(cuts)
    limit = check_threshold(threshold)
    if cutouts is not None and fetch:
        raise ValueError("cutouts names a folder, so that nothing is fetched: leave out fetch")
    if classifier is None:
        from shredfinder.classifier import ShredClassifier

        classifier = ShredClassifier.load()
    query, fetch = dict(query or {}), dict(fetch or {})
    steps = StepFolder(folder, resume=resume)
    if steps.path is not None and cutouts is None:
        fetch.setdefault("cache", steps.path / "cutouts")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ShredfinderWarning)
        search = _search(
            center,
            preset,
            cut,
            radius=radius,
            hosts=hosts,
            host_radius=to_value(host_radius, "host_radius", u.kpc) * u.kpc,
            cosmology=cosmology,
            threshold=limit,
            classifier=classifier,
            images={"fetch": fetch} if cutouts is None else {
                "cutouts": cutouts, "pattern": pattern or "{objid}.png"
            },
            scoring={"prior": prior, "allow_other_colors": allow_other_colors},
            query=query,
            pictures=pictures,
            field_width=field_width,
            steps=steps,
            progress=progress,
        )  # fmt: skip
    for warning in caught:
        if issubclass(warning.category, ShredfinderWarning):
            search.warnings.append(" ".join(str(warning.message).split()))
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return search


def _search(
    center, preset, cut, *, radius, hosts, host_radius, cosmology, threshold, classifier, images,
    scoring, query, pictures, field_width, steps, progress,
):  # fmt: skip
    """Run the steps, each on what the one before put out."""
    name, center = _place(center, steps)
    table = get_hosts(hosts)
    at_center = find_host(table, center) if table is not None else None
    radius = _region_radius(radius, table, at_center, host_radius, cosmology)
    where = {"ra": center.ra.deg, "dec": center.dec.deg, "radius": radius.value}
    endpoint = query.get("endpoint") or getattr(conf, preset.endpoint)
    asked = where | {"survey": repr(preset), "cuts": repr(cut), "endpoint": endpoint}
    asked |= {key: to_plain(value) for key, value in query.items() if key != "cache"}

    def ask():
        found = query_candidates(preset, center, radius, cuts=cut, progress=progress, **query)
        found.meta["ncatalog"] = _count_region(preset, center, radius, query)
        return found

    candidates = steps.run("query", ask, asked)
    nearby = None
    if table is not None:
        options = {"host_radius": host_radius, "cosmology": cosmology}
        nearby = select_hosts(table, center, radius, **options)
        if not len(nearby):
            warnings.warn(
                "no host of the catalogue has candidates in the region: all are left out; "
                "hosts=None keeps them",
                ShredfinderWarning,
            )
    tied = steps.run(
        "hosts",
        lambda: _tie(candidates, nearby, center, host_radius, cosmology),
        {"hosts": digest_table(nearby), "kpc": host_radius.value, "cosmology": repr(cosmology)},
        after=["query"],
    )
    scored = steps.run(
        "score",
        lambda: _score(tied, classifier, images, scoring, progress),
        {
            "model": classifier.provenance,
            **scoring,
            **{key: to_plain(value) for key, value in images.items()},
            "viewer": conf.legacy_viewer_url,
        },
        after=["hosts"],
        # What did not come the last time may come now.
        accept=lambda found: not np.isin(found["p_cnn_flag"], _MENDABLE).any(),
    )
    settings = {
        "survey": preset.survey,
        "catalogue": endpoint,
        "cuts": f"{cut.name}: {cut.description} ({cut.source})",
        "hosts": name_hosts(hosts),
        "host radius kpc": float(host_radius.value),
        "images": name_images(images),
        "model": classifier.provenance,
        "prior": scoring["prior"],
    }
    search = SatelliteSearch(
        candidates=scored,
        counts=count_steps(candidates, scored, threshold),
        hosts=_count_by_host(scored, nearby, host_radius, cosmology, threshold),
        center=center,
        radius=radius,
        name=name,
        survey=preset.survey,
        threshold=threshold,
        settings=settings,
    )
    if pictures:
        search.galleries = choose_galleries(search, classifier, images)
        if "fetch" in images:
            search.view = make_field_view(
                center,
                classifier,
                width=field_width,
                name=name,
                cuts=cut,
                fetch=images["fetch"],
                query={key: query[key] for key in ("cache", "timeout") if key in query},
                steps=steps,
                **scoring,
            )
    return search


def _place(center, steps):
    if isinstance(center, SkyCoord):
        if not center.isscalar:
            raise TypeError(f"center must be one position: got {len(center)}")
        return "", center.icrs

    def look_up():
        found = resolve_name(center)
        return Table({"name": [center], "ra": [found.ra.deg], "dec": [found.dec.deg]})

    settings = {"name": center, "resolver": conf.resolver_url}
    row = steps.run("center", look_up, settings)[0]
    return center, SkyCoord(row["ra"], row["dec"], unit="deg")


def get_hosts(hosts):
    """Read the hosts that `find_satellites` is asked to use; None for none."""
    if hosts is None:
        return None
    if isinstance(hosts, str) and hosts == "nsa":
        return read_nsa()
    return read_hosts(hosts)


def _region_radius(radius, hosts, at_center, host_radius, cosmology):
    if radius is not None:
        return to_value(radius, "radius", u.deg) * u.deg
    if at_center is None:
        raise ValueError(
            "the radius of the region can't be found out: there is no host at the centre in the "
            "catalogue of hosts; give radius="
        )
    distance = host_distances(hosts[at_center : at_center + 1], cosmology=cosmology)[0]
    if not np.isfinite(distance):
        raise ValueError("the host at the centre has no usable distance: give radius=")
    return (host_radius / distance).to(u.deg, u.dimensionless_angles())


def _count_region(preset, center, radius, query):
    options = {key: query[key] for key in ("endpoint", "cache", "timeout") if key in query}
    try:
        return count_sources(preset, center, radius, **options)
    except CatalogServiceError as error:
        # A number for the record: the candidates are there.
        message = " ".join(str(error).split())
        warnings.warn(f"the region's sources could not be counted: {message}", ShredfinderWarning)
        return -1


def _tie(candidates, hosts, center, host_radius, cosmology):
    if hosts is not None:
        return join_hosts(candidates, hosts, host_radius, cosmology=cosmology)
    tied = candidates.copy()
    sky = SkyCoord(np.asarray(tied["ra"]), np.asarray(tied["dec"]), unit="deg")
    entry = np.zeros(len(tied), dtype=bool)
    if "ref_cat" in tied.colnames and len(tied):
        entry |= is_large_galaxy_entry(tied["ref_cat"])
    tied["separation"] = Column(
        sky.separation(center).to_value(u.arcsec),
        unit=u.arcsec,
        description="Angle from the centre of the region",
        meta={"ucd": "pos.angDistance"},
    )
    tied["host_entry"] = Column(
        entry, description="Whether it is a large galaxy's entry", meta={"ucd": "meta.code"}
    )
    return tied


def _score(tied, classifier, images, scoring, progress):
    scored = tied.copy()
    scored.add_p_cnn(classifier, **images, **scoring, progress=progress)
    return scored


def _count_by_host(scored, hosts, host_radius, cosmology, threshold):
    if hosts is None or not len(scored):
        return Table()
    rows = scored[~np.asarray(scored["host_entry"], dtype=bool)]
    with warnings.catch_warnings():
        # Rows without an answer are counted in the summary.
        warnings.simplefilter("ignore", ShredfinderWarning)
        found = associate_shreds(rows, hosts, host_radius, threshold=threshold, cosmology=cosmology)
    return found.hosts
