"""The result of a search for satellites."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

from shredfinder._utils.fractions import binned_shred_fractions, shred_fraction
from shredfinder._utils.units import to_bools
from shredfinder._utils.validation import quantify
from shredfinder.imaging import CutoutFlag

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from numpy.typing import ArrayLike

    from shredfinder._utils.validation import PathLike
    from shredfinder.imaging import Cutouts
    from shredfinder.pipeline.merged_sample import MergedSample
    from shredfinder.plotting import FieldView
    from shredfinder.table import ShredTable

__all__ = ["SatelliteSearch"]

# Bins in separation. Bins in magnitude are 1 mag wide.
_N_BINS = 5


@dataclass(repr=False)
class SatelliteSearch:
    """Scored satellite candidates around a position, with the counts after each step.

    Attributes
    ----------
    candidates : `~shredfinder.ShredTable`
        The candidates near a host: the survey's columns, ``host_id``,
        ``separation``, ``projected_separation``, ``n_hosts``, ``host_entry``, ``p_cnn`` and
        ``p_cnn_flag``.
    counts : `~astropy.table.Table`
        Rows after each step: ``step``, ``n`` (−1 if unknown) and ``what``.
    hosts : `~astropy.table.Table`
        The hosts with candidates and the shreds of each, as returned by
        `~shredfinder.hosts.associate_shreds`; empty without hosts.
    center : `~astropy.coordinates.SkyCoord`
        Centre of the region.
    radius : `~astropy.units.Quantity`
        Radius of the region, in degrees.
    name : str
        Name of the object at the centre; empty if only a position was given.
    survey : str
        The survey of the candidates.
    threshold : float
        Candidates with ``p_cnn`` at or above it are shreds.
    settings : dict
        Survey, cuts, hosts, images, model and prior, for the record.
    view : FieldView or None
        The field around the centre, as in figure 1 of the paper.
    galleries : dict
        Examples: rows and their `~shredfinder.Cutouts`, by ``"shreds"`` and ``"galaxies"``.
    merged : MergedSample or None
        The sample after shreds are merged with their galaxies, if that was asked for.
    warnings : list of str
        Warnings raised during the search.

    Examples
    --------
    >>> from shredfinder.pipeline import find_satellites
    >>> search = find_satellites("NGC 2903", pictures=False)
    >>> len(search.satellites) + len(search.shreds) <= len(search.candidates)
    True
    >>> search.shred_fraction.colnames[:3]
    ['n_unscored', 'n_scored', 'n_shreds']
    >>> search.fractions_by_magnitude([14, 18, 21])["low", "high"].pprint(show_unit=False)
    low  high
    ---- ----
    14.0 18.0
    18.0 21.0
    >>> len(search.fractions_by_separation())
    5
    >>> search.summary().splitlines()[0].split()[0]
    'catalogue'
    """

    candidates: ShredTable
    counts: Table
    hosts: Table
    center: SkyCoord
    radius: u.Quantity
    name: str
    survey: str
    threshold: float
    settings: dict[str, Any] = field(default_factory=dict)
    view: FieldView | None = None
    galleries: dict[str, tuple[ShredTable, Cutouts]] = field(default_factory=dict)
    merged: MergedSample | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def satellites(self) -> ShredTable:
        """`~shredfinder.ShredTable`: the clean table, without shreds, hosts and unscored rows."""
        p_cnn = np.asarray(self.candidates["p_cnn"])
        # Comparisons with NaN are False: unscored rows are neither.
        with np.errstate(invalid="ignore"):
            galaxy = p_cnn < self.threshold
        return self.candidates[galaxy & ~self._entry]

    @property
    def shreds(self) -> ShredTable:
        """`~shredfinder.ShredTable`: the candidates that are shreds."""
        with np.errstate(invalid="ignore"):
            shred = np.asarray(self.candidates["p_cnn"]) >= self.threshold
        return self.candidates[shred & ~self._entry]

    @property
    def _entry(self) -> np.ndarray:
        return to_bools(self.candidates["host_entry"], "host_entry")

    @property
    def _counted(self) -> ShredTable:
        """Rows counted in fractions: without the entries of hosts, which are known galaxies."""
        return self.candidates[~self._entry]

    @property
    def shred_fraction(self) -> Table:
        """`~astropy.table.Table`: one row, from `~shredfinder.evaluation.shred_fraction`."""
        return shred_fraction(self._counted["p_cnn"], threshold=self.threshold)

    def fractions_by_magnitude(self, edges: ArrayLike | None = None) -> Table:
        """Compute the shred fraction in bins of r magnitude.

        Parameters
        ----------
        edges : array_like, optional
            Bin edges in mag; by default whole magnitudes.

        Returns
        -------
        fractions : `~astropy.table.Table`
            As returned by `~shredfinder.evaluation.binned_shred_fractions`.
        """
        return self._binned("r", edges, _whole_edges)

    def fractions_by_separation(self, edges: ArrayLike | None = None) -> Table:
        """Compute the shred fraction in bins of projected separation from the host.

        Parameters
        ----------
        edges : array_like, optional
            Bin edges in kpc, or in arcsec if the candidates were not matched to hosts; by
            default five bins.

        Returns
        -------
        fractions : `~astropy.table.Table`
            As returned by `~shredfinder.evaluation.binned_shred_fractions`.
        """
        # Only candidates matched to hosts have a separation in kpc.
        matched = "projected_separation" in self.candidates.colnames
        return self._binned("projected_separation" if matched else "separation", edges, _even_edges)

    def _binned(
        self,
        name: str,
        edges: ArrayLike | None,
        make_edges: Callable[[np.ndarray], np.ndarray],
    ) -> Table:
        rows = self._counted
        values = rows[name]
        edges = make_edges(np.asarray(values, dtype=float)) if edges is None else edges
        return binned_shred_fractions(rows["p_cnn"], values, edges, threshold=self.threshold)

    @property
    def reasons(self) -> dict[str, int]:
        """dict: number of unscored candidates by reason, the most frequent first."""
        unscored = np.isnan(np.asarray(self.candidates["p_cnn"]))
        flags = np.asarray(self.candidates["p_cnn_flag"])[unscored]
        return dict(Counter(flags.tolist()).most_common())

    def summary(self) -> str:
        """Summarise the search in a few lines.

        Returns
        -------
        summary : str
            The rows after each step, the shred fraction with its 68 % interval, and what merging
            changed.
        """
        # For a column of aligned names.
        width = max(len(row["step"]) for row in self.counts)
        lines = [
            f"{row['step']:{width}} {row['n'] if row['n'] >= 0 else '?':>8}  {row['what']}"
            for row in self.counts
        ]
        found = self.shred_fraction[0]
        if found["n_scored"]:
            lines.append(
                f"shred fraction {found['shred_fraction']:.1%} "
                f"({found['shred_fraction_low']:.1%} to {found['shred_fraction_high']:.1%}): "
                f"{found['n_shreds']} of {found['n_scored']} with p_cnn ≥ {self.threshold:g}"
            )
        if self.reasons:
            listed = ", ".join(f"{n} {reason}" for reason, n in self.reasons.items())
            lines.append(f"unscored, excluded from fractions: {listed}")
        if self.merged is not None:
            lines += self.merged.summary().splitlines()
        return "\n".join(lines)

    def __repr__(self) -> str:
        where = self.name or self.center.to_string("decimal")
        return (
            f"<SatelliteSearch: {self.survey} around {where}, "
            f"{quantify(len(self.candidates), 'candidate')}, "
            f"{quantify(len(self.satellites), 'satellite')}>"
        )

    def write_report(self, path: PathLike) -> None:
        """Write a report: counts, fractions, the field, examples, hosts, provenance.

        Parameters
        ----------
        path : path-like
            An ``.html`` file, which needs no other file and no network to be read, or a ``.pdf``
            file. It is replaced if it exists.

        Raises
        ------
        ValueError
            If the file name has another extension.
        MissingDependencyError
            If matplotlib or Jinja2 is not installed.
        FileNotFoundError
            If the folder does not exist.

        Examples
        --------
        >>> from shredfinder.pipeline import find_satellites
        >>> search = find_satellites("NGC 2903", pictures=False)
        >>> search.write_report("ngc2903.html")
        """
        from shredfinder.pipeline.report import write_report

        write_report(self, path)


def count_steps(table: Table, candidates: Table, threshold: float) -> Table:
    """Count the rows after each step of a search.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The candidates after the cuts. Its ``meta`` holds the numbers of catalogue rows in the
        region (``ncatalog``) and of rows sent by the server (``nfetched``).
    candidates : `~astropy.table.Table`
        The scored candidates near hosts.
    threshold : float
        Candidates with ``p_cnn`` at or above it are shreds.

    Returns
    -------
    counts : `~astropy.table.Table`
        The attribute ``counts`` of `SatelliteSearch`.
    """
    p_cnn = np.asarray(candidates["p_cnn"])
    # Images in other colours are flagged, but usable.
    usable = np.isin(
        np.asarray(candidates["p_cnn_flag"]), [CutoutFlag.GOOD.value, CutoutFlag.OTHER_COLORS.value]
    )
    entry = to_bools(candidates["host_entry"], "host_entry")
    with np.errstate(invalid="ignore"):
        galaxy = p_cnn < threshold
    # Names of the steps are part of the public table.
    rows = [
        (
            "catalogue",
            table.meta.get("ncatalog", -1),
            "sources of the catalogue in the region",
        ),
        (
            "query",
            table.meta.get("nfetched", -1),
            "returned by the server, after its part of the cuts",
        ),
        ("cuts", len(table), "candidates that pass the cuts"),
        ("hosts", len(candidates), "candidates near a host"),
        ("cutouts", int(np.count_nonzero(usable)), "with a usable image"),
        ("score", int(np.count_nonzero(np.isfinite(p_cnn))), "scored"),
        ("galaxies", int(np.count_nonzero(galaxy)), f"p_cnn < {threshold:g}"),
        ("satellites", int(np.count_nonzero(galaxy & ~entry)), "without the entries of hosts"),
    ]
    return Table(rows=rows, names=("step", "n", "what"))


def _whole_edges(values: np.ndarray) -> np.ndarray:
    values = values[np.isfinite(values)]
    if not values.size:
        return np.array([15.0, 21.0])
    low, high = np.floor(values.min()), np.ceil(values.max())
    # At least one bin, and arange excludes its end.
    return np.arange(low, max(high, low + 1) + 1)


def _even_edges(values: np.ndarray) -> np.ndarray:
    values = values[np.isfinite(values)]
    largest = float(values.max()) if values.size else 0.0
    # The largest value is rounded up to one digit, for round bin edges.
    step = 10 ** np.floor(np.log10(largest)) if largest > 0 else 100.0
    top = step * np.ceil(largest / step) if largest > 0 else step
    return np.linspace(0.0, top, _N_BINS + 1)
