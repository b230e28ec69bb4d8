"""The sample after shreds are merged with their galaxies: what changed, left and entered."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units as u
from astropy.table import Column, Table, vstack

from shredfinder._utils.columns import as_table
from shredfinder._utils.fractions import classify
from shredfinder._utils.positions import get_positions
from shredfinder._utils.units import to_bools, to_floats
from shredfinder._utils.validation import quantify
from shredfinder.cuts import get_preset, saga_cut
from shredfinder.exceptions import MissingDependencyError, ShredfinderWarning
from shredfinder.hosts import find_parents, measure_galaxies, merge_shreds
from shredfinder.imaging import CutoutSequence
from shredfinder.table import ShredTable
from shredfinder.table.scoring import ScoreOptions, open_cutouts

if TYPE_CHECKING:
    from shredfinder.cuts import CutPreset
    from shredfinder.hosts import GalaxyLight
    from shredfinder.imaging import Cutouts
    from shredfinder.models.scorer import ImageScorer

__all__ = ["MergedSample", "merge_sample"]

# A change of magnitude that is reported.
_LARGE = 0.2
# Rows that fail the cuts are merged if they are this near to a shred: the width of a cutout.
_NEAR = 60 * u.arcsec
# They are this much fainter than the limit at most: fainter pieces hardly add light.
_FAINTER = 1.0
# Galaxies in the gallery of the largest changes.
_N_LARGEST = 12
_NEEDED = ("objid", "ra", "dec", "g", "r", "r_eff", "mu_err", "gr_err", "p_cnn")
_ELLIPSE = {"petro_th90", "petro_ba90", "petro_phi90"}


@dataclass(repr=False)
class MergedSample:
    """Candidates after their shreds were merged with their galaxies, and the changes.

    Attributes
    ----------
    galaxies : `~shredfinder.ShredTable`
        One row per galaxy, as returned by `~shredfinder.hosts.merge_shreds`.
    satellites : `~shredfinder.ShredTable`
        The rows of ``galaxies`` that pass the cuts, without hosts and unscored rows.
    changes : `~astropy.table.Table`
        The galaxies with merged shreds, those with the largest change first: ``objid``, ``ra``,
        ``dec``, ``merge_kind``, ``n_shreds``, ``r_before`` (that of the galaxy's entry, NaN for
        recovered galaxies), ``r``, ``change`` (their difference) and ``sample``: ``kept``,
        ``left``, ``entered``, or ``outside`` before and after.
    parents : `~astropy.table.Table`
        The galaxy of each row, as returned by `~shredfinder.hosts.find_parents`.
    lights : list of GalaxyLight
        Images of the galaxies with the largest changes, for a figure.

    Examples
    --------
    See `merge_sample`, which returns it.
    """

    galaxies: ShredTable
    satellites: ShredTable
    changes: Table
    parents: Table
    lights: list[GalaxyLight] = field(default_factory=list)

    @property
    def n_changed(self) -> int:
        """int: galaxies whose r magnitude changed by more than 0.2 mag."""
        with np.errstate(invalid="ignore"):
            return int(np.count_nonzero(np.abs(self.changes["change"]) > _LARGE))

    @property
    def n_recovered(self) -> int:
        """int: recovered galaxies, of which every entry is a shred."""
        return int(np.count_nonzero(self.changes["merge_kind"] == "recovered"))

    def _count(self, status: str) -> int:
        return int(np.count_nonzero(self.changes["sample"] == status))

    @property
    def n_left(self) -> int:
        """int: candidates that no longer pass the cuts."""
        return self._count("left")

    @property
    def n_entered(self) -> int:
        """int: galaxies that pass the cuts only now, recovered ones included."""
        return self._count("entered")

    def summary(self) -> str:
        """Summarise the changes in two lines.

        Returns
        -------
        summary : str
            Numbers of rows, of changed and recovered galaxies, and of candidates that left or
            entered the sample.
        """
        return (
            f"merged {quantify(len(self.parents), 'row')} into {len(self.galaxies)} galaxies: "
            f"{self.n_changed} changed by more than {_LARGE:g} mag in r, "
            f"{self.n_recovered} recovered\n"
            f"{self.n_left} removed from the sample, {self.n_entered} added: "
            f"{quantify(len(self.satellites), 'satellite')} after merging"
        )

    def __repr__(self) -> str:
        return f"<MergedSample: {self.summary()}>".replace("\n", "; ")


def merge_sample(
    candidates: Table,
    neighbours: Table | None = None,
    *,
    cuts: str | CutPreset = "paper",
    hosts: Table | None = None,
    cutouts: Cutouts | CutoutSequence | None = None,
    threshold: float = 0.5,
) -> MergedSample:
    """Merge the shreds of scored candidates with their galaxies, and apply the cuts again.

    Parameters
    ----------
    candidates : `~astropy.table.Table`
        Scored candidates that pass the cuts, with the columns of
        `~shredfinder.catalogs.query_candidates`, and ``host_entry`` if it is known.
    neighbours : `~astropy.table.Table`, optional
        Scored rows with the same columns that fail the cuts in magnitude, surface brightness or
        colour. Galaxies among them may enter the sample, and shreds add their light.
    cuts : str or CutPreset, optional
        The preset whose limits of magnitude, surface brightness and colour apply.
    hosts : `~astropy.table.Table`, optional
        Host galaxies. Their ellipses are used if they have them, as from
        `~shredfinder.hosts.read_nsa`.
    cutouts : Cutouts or CutoutSequence, optional
        One cutout per row of candidates and neighbours, as for `~shredfinder.hosts.find_parents`.
    threshold : float, optional
        Rows with ``p_cnn`` at or above it are shreds.

    Returns
    -------
    sample : MergedSample
        The merged table, the sample, and the changes.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If the preset is unknown, or as for `~shredfinder.hosts.find_parents`.

    Notes
    -----
    Galaxies that nothing was merged with stay in the sample or outside of it. The quality cuts
    are not repeated, since they apply to entries.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.pipeline import merge_sample
    >>> table = Table({"objid": [1, 2, 3], "ra": [150.0, 150.0005, 150.1], "dec": [2.0, 2.0, 2.0],
    ...                "g": [20.4, 21.0, 19.9], "r": [20.0, 20.7, 19.5], "r_eff": [3.0, 1.0, 4.0],
    ...                "p_cnn": [0.1, 0.9, 0.2]})
    >>> table["gr_err"], table["mu_err"] = 0.02, 0.05
    >>> sample = merge_sample(table)
    >>> sample.changes["objid", "n_shreds", "r_before", "r", "sample"].pprint(show_unit=False)
    objid n_shreds r_before   r    sample
    ----- -------- -------- ------ ------
        1        1   20.000 19.542   kept
    >>> len(sample.satellites)
    2
    """
    preset = get_preset(cuts)
    table = ShredTable(as_table(candidates, "candidates"))
    n_candidates = len(table)
    missing = [name for name in _NEEDED if name not in table.colnames]
    if missing:
        raise KeyError(
            f"candidates lack {quantify(len(missing), 'column')} of query_candidates: "
            f"{', '.join(missing)} (in lower case); they have {', '.join(table.colnames)}"
        )
    if neighbours is not None and len(neighbours):
        others = ShredTable(as_table(neighbours, "neighbours"))
        table = ShredTable(vstack([table, others], metadata_conflicts="silent"))
    hosts = _with_ellipses(hosts)
    p_cnn, shred = classify(table["p_cnn"], threshold, "p_cnn")
    names = set(table.colnames)
    entry = np.zeros_like(shred)
    if "host_entry" in names:
        entry = to_bools(table["host_entry"], "host_entry")
    good = np.isfinite(p_cnn) & ~shred & ~entry
    before = good & (np.arange(len(table)) < n_candidates)
    with warnings.catch_warnings():
        # Of unscored rows, which the search has counted already.
        warnings.simplefilter("ignore", ShredfinderWarning)
        parents = find_parents(table, cutouts, hosts=hosts, threshold=threshold, id_column="objid")
    merged = merge_shreds(table, parents=parents, hosts=hosts, id_column="objid")
    # The row of the table that each galaxy's row was made from.
    order = np.argsort(np.asarray(table["objid"]), kind="stable")
    main = order[np.searchsorted(np.asarray(table["objid"])[order], np.asarray(merged["objid"]))]
    kind = np.asarray(merged["merge_kind"]).astype(str)
    changed = np.asarray(merged["n_shreds"]) > 0
    passed = np.asarray(_passes(merged, preset)) if len(merged) else np.zeros(0, dtype=bool)
    now = np.where(changed, passed & ((kind == "recovered") | good[main]), before[main])
    # Hosts that are listed only as shreds are no satellites.
    now &= kind != "host"
    return MergedSample(
        galaxies=merged,
        satellites=merged[now],
        changes=_list_changes(table, merged, main, changed, kind, before[main], now),
        parents=parents,
    )


def _with_ellipses(hosts):
    """Return hosts whose ellipses are known, else None."""
    return hosts if hosts is not None and set(hosts.colnames) >= _ELLIPSE else None


def _passes(merged, preset):
    """Return which rows pass the cuts in magnitude, surface brightness and colour."""
    errors = {name: merged[name] for name in ("mu_err", "gr_err")}
    return saga_cut(merged["g"], merged["r"], merged["r_eff"], **errors, **preset.saga)


def _list_changes(table, merged, main, changed, kind, before, now):
    entry_r = np.where(kind == "galaxy", to_floats(table["r"], "r", u.mag)[main], np.nan)
    r_mag = to_floats(merged["r"], "r", u.mag)
    changes = Table(merged["objid", "ra", "dec", "merge_kind", "n_shreds"])
    for name, values, words in (
        ("r_before", entry_r, "r magnitude of the entry"),
        ("r", r_mag, "r magnitude after merging"),
        ("change", r_mag - entry_r, "Their difference"),
    ):
        changes[name] = Column(values, unit=u.mag, description=words, format=".3f")
    # A recovered galaxy is not one of the rows before.
    before = before & (kind == "galaxy")
    changes["sample"] = np.select(
        [before & now, before, now], ["kept", "left", "entered"], "outside"
    )
    changes = changes[changed]
    size = np.abs(np.asarray(changes["change"]))
    # Recovered galaxies, without a change, come last.
    return changes[np.argsort(-np.where(np.isfinite(size), size, -1), kind="stable")]


def widen(preset: CutPreset) -> CutPreset:
    """Return a preset without cuts in surface brightness and colour, and a fainter limit."""
    limit = to_floats(preset.saga_thresholds["r_max"], "r_max", u.mag) + _FAINTER
    saga = preset.saga | {"r_max": float(limit), "sb_limit": -100.0, "color_limit": 100.0}
    return replace(preset, name=f"{preset.name}, widened", saga=saga)


def near_shreds(wide: ShredTable, scored: ShredTable, threshold: float) -> ShredTable:
    """Select the rows near shreds that are not among the candidates.

    Parameters
    ----------
    wide : `~shredfinder.ShredTable`
        Rows that pass wider cuts.
    scored : `~shredfinder.ShredTable`
        The scored candidates.
    threshold : float
        Candidates with ``p_cnn`` at or above it are shreds.

    Returns
    -------
    rows : `~shredfinder.ShredTable`
        The rows within 60″ of a shred.
    """
    _, shred = classify(scored["p_cnn"], threshold, "p_cnn")
    if not shred.any() or not len(wide):
        return wide[:0]
    other = wide[~np.isin(np.asarray(wide["objid"]), np.asarray(scored["objid"]))]
    if not len(other):
        return other
    _, apart, _ = get_positions(other).match_to_catalog_sky(get_positions(scored[shred]))
    return other[apart <= _NEAR]


class _SomeCutouts(CutoutSequence):
    """Cutouts of some rows of a table; others must not be asked for."""

    def __init__(self, cutouts: Cutouts, rows: np.ndarray, n: int) -> None:
        self._cutouts = cutouts
        self._place = np.zeros(n, dtype=np.intp)
        self._place[rows] = np.arange(rows.size)

    def __len__(self) -> int:
        return self._place.size

    def __getitem__(self, rows: Any) -> Cutouts:
        return self._cutouts[self._place[rows]]


def _load_cutouts(table, rows, classifier, images):
    """Return the cutouts of some rows, from the cache or the folder; None for no rows."""
    if not rows.size:
        return None
    some = table[rows]
    if "service" in images:
        found = images["service"].fetch(some, progress=False)
    else:
        found = open_cutouts(some, classifier, ScoreOptions(**images))[:]
    return _SomeCutouts(found, rows, len(table))


def merge_search(
    scored: ShredTable,
    neighbours: ShredTable,
    classifier: ImageScorer,
    images: dict[str, Any],
    *,
    cuts: CutPreset,
    hosts: Table | None,
    threshold: float,
    pictures: bool,
) -> MergedSample:
    """Merge the candidates of a search, with evidence and pictures from its cutouts.

    Parameters
    ----------
    scored, neighbours
        The scored candidates, and scored rows near shreds that fail the cuts.
    classifier, images
        The classifier and the source of the cutouts, as for `choose_galleries`.
    cuts, hosts, threshold
        As for `merge_sample`.
    pictures : bool
        Whether to collect images of the galaxies with the largest changes.

    Returns
    -------
    sample : MergedSample
        The merged sample.
    """
    table = scored
    if len(neighbours):
        table = ShredTable(vstack([scored, neighbours], metadata_conflicts="silent"))
    _, shred = classify(table["p_cnn"], threshold, "p_cnn")
    options: dict[str, Any] = {"cuts": cuts, "hosts": hosts, "threshold": threshold}
    try:
        cutouts = _load_cutouts(table, np.flatnonzero(shred), classifier, images)
        sample = merge_sample(scored, neighbours, cutouts=cutouts, **options)
    except MissingDependencyError as error:
        warnings.warn(
            f"shreds are merged by the catalogue alone, without the light in cutouts: {error}",
            ShredfinderWarning,
        )
        sample = merge_sample(scored, neighbours, **options)
    largest = sample.changes[:_N_LARGEST]["objid"]
    if pictures and len(largest):
        sample.lights = _measure(table, largest, classifier, images, sample.parents, hosts)
    return sample


def _measure(table, largest, classifier, images, parents, hosts):
    """Return images of the galaxies with the largest changes, as far as they are available."""
    rows = np.flatnonzero(np.isin(np.asarray(table["objid"]), largest))
    try:
        return measure_galaxies(
            table, _load_cutouts(table, rows, classifier, images), parents=parents,
            ids=largest, id_column="objid", hosts=_with_ellipses(hosts), progress=False,
        )  # fmt: skip
    except MissingDependencyError as error:
        warnings.warn(f"the largest changes are not drawn: {error}", ShredfinderWarning)
        return []
