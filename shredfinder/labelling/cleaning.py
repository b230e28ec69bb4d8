"""Labels that a model contradicts, and corrections of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table

from shredfinder._utils.columns import find_column
from shredfinder._utils.units import to_floats
from shredfinder.training import encode_labels

if TYPE_CHECKING:
    from astropy.table import Column
    from numpy.typing import ArrayLike

__all__ = ["apply_corrections", "rank_contradicted"]

_CORRECTIONS = ("original", "corrected", "reason")
_LABELS = ("galaxy", "shred", "other", "disputed")


def rank_contradicted(y: ArrayLike, p_shred: ArrayLike, *, n: int | None = None) -> Table:
    """Rank labelled sources by how strongly a model contradicts their labels.

    Inspect the first sources of the list again: the label may be wrong, the source ambiguous, or
    the model wrong. The model must not have been trained on these labels: use probabilities from
    cross-validation (`~shredfinder.evaluation.cross_validate`).

    Parameters
    ----------
    y : array_like
        Labels of shape ``(n_sources,)``, as for `~shredfinder.training.encode_labels`.
    p_shred : array_like
        Calibrated probability of being a shred, of shape ``(n_sources,)``; NaN for unscored
        sources.
    n : int, optional
        Number of sources to list; by default all that have both a class and a probability.

    Returns
    -------
    ranked : `~astropy.table.Table`
        ``row`` (of the source, from 0), ``label``, ``p_shred`` and ``p_label`` (the probability
        of the labelled class), in ascending order of ``p_label``.

    Raises
    ------
    ValueError
        If labels and probabilities differ in length, or a probability is outside 0–1.

    Notes
    -----
    The probability of the given label according to a held-out model is the "self-confidence" of
    confident learning (Northcutt, Jiang & Chuang 2021, JAIR 70, 1373).

    Examples
    --------
    >>> from shredfinder.labelling import rank_contradicted
    >>> ranked = rank_contradicted(
    ...     ["galaxy", "shred", "galaxy", "other"], [0.02, 0.9, 0.97, 0.5], n=2
    ... )
    >>> ranked["row"].tolist(), ranked["label"].tolist()
    ([2, 1], ['galaxy', 'shred'])
    """
    target, p_shred = encode_labels(y), to_floats(p_shred, "p_shred")
    if p_shred.shape != target.shape:
        raise ValueError(
            f"p_shred must have one probability for each of {len(target)} labels: got shape "
            f"{p_shred.shape}"
        )
    if ((p_shred < 0) | (p_shred > 1)).any():
        raise ValueError(
            f"p_shred must be between 0 and 1: got {np.nanmin(p_shred):g} to {np.nanmax(p_shred):g}"
        )
    # For a soft label, this is the probability that a random rater's label is right.
    p_label = target * p_shred + (1 - target) * (1 - p_shred)
    rows = np.flatnonzero(np.isfinite(p_label))
    # The least probable labels first.
    rows = rows[np.argsort(p_label[rows], kind="stable")][:n]
    ranked = Table(
        {
            "row": rows,
            "label": np.ma.getdata(np.ma.asarray(y))[rows],
            "p_shred": p_shred[rows],
            "p_label": p_label[rows],
        }
    )
    for name in ("p_shred", "p_label"):
        ranked[name].info.format = ".4f"
    return ranked


def apply_corrections(
    table: Table,
    corrections: Table,
    *,
    column: str = "final",
    identifier: str = "objID",
    partial: bool = False,
) -> Column:
    """Return a corrected copy of a column of labels.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Labelled sources. The table is not changed.
    corrections : `~astropy.table.Table`
        One row per label to change: the identifier, ``original`` (the label in the table),
        ``corrected`` (another of ``galaxy``, ``shred``, ``other``, ``disputed``) and ``reason``.
    column : str, optional
        Name of the column of labels.
    identifier : str, optional
        Name of the column of identifiers in both tables.
    partial : bool, optional
        Whether to ignore corrections of sources that are not in the table, for a part of a
        catalogue; by default they raise an error.

    Returns
    -------
    corrected : `~astropy.table.Column`
        A new column of labels.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If a source occurs twice, is not in the table, or has a label other than ``original``;
        or if a correction changes nothing, has an unknown class or lacks a reason.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.labelling import apply_corrections
    >>> table = Table({"objID": [11, 12], "final": ["galaxy", "galaxy"]})
    >>> corrections = Table(
    ...     rows=[(12, "galaxy", "shred", "on an arm, the nucleus is 8 arcsec off")],
    ...     names=["objID", "original", "corrected", "reason"],
    ... )
    >>> apply_corrections(table, corrections).tolist()
    ['galaxy', 'shred']
    """
    # Identifiers are compared as text: 64-bit integers and strings then match.
    names = _get_texts(table, identifier)
    rows = _index(names, f"the table's column {identifier!r}")
    labels = _get_texts(table, column)
    corrected_names = _get_texts(corrections, identifier)
    _index(corrected_names, "the table of corrections")
    changes = zip(*(_get_texts(corrections, name) for name in _CORRECTIONS), strict=True)
    for name, (original, corrected, reason) in zip(corrected_names, changes, strict=True):
        if corrected not in _LABELS or corrected == original:
            raise ValueError(
                f"the correction of {name} changes {original!r} to {corrected!r}: the corrected "
                f"label must be another of {', '.join(_LABELS)}"
            )
        if not reason.strip():
            raise ValueError(f"the correction of {name} has no reason: describe what is visible")
        if name not in rows:
            if partial:
                continue
            raise ValueError(
                f"the corrected source {name} is not in the table: check that {identifier!r} is "
                "the identifier, or ignore such corrections with partial=True"
            )
        if labels[rows[name]] != original:
            raise ValueError(
                f"the source {name} is labelled {labels[rows[name]]!r} in column {column!r}, not "
                f"{original!r} as in its correction: the corrections are for other labels"
            )
        labels[rows[name]] = corrected
    # A new array is as wide as its longest label; the old one might truncate "disputed".
    new = Table({column: np.array(labels, dtype=str)})[column]
    new.description = f"{column}, with {len(corrected_names)} corrections"
    return new


def _get_texts(table, name):
    column = np.ma.asarray(table[find_column(table, name)])
    values = np.ma.filled(column.astype(object), "").tolist()
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _index(names, where):
    rows = {name: row for row, name in enumerate(names)}
    if len(rows) < len(names):
        twice = next(name for row, name in enumerate(names) if rows[name] != row)
        raise ValueError(f"{where} lists the source {twice} twice: list each source once")
    return rows
