"""Labels that cross-validation contradicts, and corrections of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Table

from shredfinder._utils.columns import find_column
from shredfinder.training import encode_labels

if TYPE_CHECKING:
    from astropy.table import Column
    from numpy.typing import ArrayLike

__all__ = ["apply_corrections", "rank_contradicted"]

_CORRECTIONS = ("original", "corrected", "reason")
_LABELS = ("galaxy", "shred", "other", "disputed")


def rank_contradicted(y: ArrayLike, p_shred: ArrayLike, *, n: int | None = None) -> Table:
    """Rank labelled sources by how much a model contradicts their labels.

    The sources at the head of the list are those to look at again: a label may be wrong, or the
    source arguable, or the model in error. The model must not have seen the labels that it is
    held against: take probabilities of cross-validation (`~shredfinder.evaluation.cross_validate`).

    Parameters
    ----------
    y : array_like
        Labels of shape ``(n_sources,)``, as `~shredfinder.training.encode_labels` takes them.
    p_shred : array_like
        Probability of being a shred, of shape ``(n_sources,)``, calibrated; NaN for sources
        without an answer.
    n : int, optional
        How many sources to list; by default all that have both a class and an answer.

    Returns
    -------
    ranked : `~astropy.table.Table`
        ``row`` (number of the source, from 0), ``label``, ``p_shred``, ``p_label`` (the
        probability of the class that the label names), from the least ``p_label`` up.

    Raises
    ------
    ValueError
        If labels and probabilities are not as many, or a probability is outside 0–1.

    Notes
    -----
    Ranking by the probability that a held-out model gives the label itself is the
    "self-confidence" of confident learning (Northcutt, Jiang & Chuang 2021, JAIR 70, 1373).

    Examples
    --------
    >>> from shredfinder.labelling import rank_contradicted
    >>> ranked = rank_contradicted(
    ...     ["galaxy", "shred", "galaxy", "other"], [0.02, 0.9, 0.97, 0.5], n=2
    ... )
    >>> ranked["row"].tolist(), ranked["label"].tolist()
    ([2, 1], ['galaxy', 'shred'])
    """
    target, p_shred = encode_labels(y), np.ma.filled(np.ma.asarray(p_shred, dtype=float), np.nan)
    if p_shred.shape != target.shape:
        raise ValueError(
            f"there are {len(target)} labels but probabilities of shape {p_shred.shape}: give one "
            "for each"
        )
    if ((p_shred < 0) | (p_shred > 1)).any():
        raise ValueError(
            f"probabilities must be from 0 to 1: these run from {np.nanmin(p_shred):g} to "
            f"{np.nanmax(p_shred):g}"
        )
    p_label = target * p_shred + (1 - target) * (1 - p_shred)
    rows = np.flatnonzero(np.isfinite(p_label))
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
    """Give a column of labels with corrections applied; the table stays as it is.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Labelled sources.
    corrections : `~astropy.table.Table`
        A row for each label to change: the identifier, ``original`` (the label as it stands),
        ``corrected`` (another of ``galaxy``, ``shred``, ``other``, ``disputed``) and ``reason``.
    column : str, optional
        The column of labels.
    identifier : str, optional
        The column that names a source, in both tables.
    partial : bool, optional
        Whether corrections of sources that are not in the table are passed over, as for a part
        of a catalogue; otherwise they are an error.

    Returns
    -------
    corrected : `~astropy.table.Column`
        A new column of labels.

    Raises
    ------
    KeyError
        If a column is missing.
    ValueError
        If a source is named twice, is not in the table, has another label than ``original``
        says, or a correction changes nothing, names no class or gives no reason.

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
    names = _get_texts(table, identifier)
    rows = _index(names, f"the table's column {identifier!r}")
    labels = _get_texts(table, column)
    corrected_names = _get_texts(corrections, identifier)
    _index(corrected_names, "the corrections")
    changes = zip(*(_get_texts(corrections, name) for name in _CORRECTIONS), strict=True)
    for name, (original, corrected, reason) in zip(corrected_names, changes, strict=True):
        if corrected not in _LABELS or corrected == original:
            raise ValueError(
                f"the correction of {name} makes {original!r} {corrected!r}: give another of "
                f"{', '.join(_LABELS)}"
            )
        if not reason.strip():
            raise ValueError(f"the correction of {name} gives no reason: say what is seen")
        if name not in rows:
            if partial:
                continue
            raise ValueError(
                f"the source {name} that is to be corrected is not in the table: is "
                f"{identifier!r} its identifier? (partial=True passes over such sources)"
            )
        if labels[rows[name]] != original:
            raise ValueError(
                f"the source {name} is labelled {labels[rows[name]]!r} in column {column!r}, not "
                f"{original!r} as its correction says: it is for other labels"
            )
        labels[rows[name]] = corrected
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
        raise ValueError(f"{where} names the source {twice} twice: give each once")
    return rows
