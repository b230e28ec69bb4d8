"""Agreement of labellers, their consensus, and the training labels made from both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy.table import Column, Table

from shredfinder.labelling.store import LABELS
from shredfinder.training import combine_raters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = ["Agreement", "compare_labellers", "find_consensus", "tabulate_labels"]

DISPUTED = "disputed"


@dataclass(frozen=True)
class Agreement:
    """Agreement of two labellers on the sources that both have labelled.

    Attributes
    ----------
    n : int
        Number of those sources.
    fraction : float
        Fraction on which they agree; NaN if there are none.
    kappa : float
        Cohen's kappa, the agreement beyond chance: 1 for full agreement and 0 for chance
        agreement; NaN if chance alone would give full agreement.
    kappa_interval : tuple of float
        95 % interval of kappa, from its large-sample standard error; NaN like kappa.
    confusion : `~astropy.table.Table`
        Counts: one row per class of the first labeller, one column per class of the second.

    Examples
    --------
    >>> from shredfinder.labelling import compare_labellers
    >>> agreement = compare_labellers(["galaxy", "shred", "shred"], ["galaxy", "shred", "galaxy"])
    >>> agreement.n, round(agreement.kappa, 2)
    (3, 0.4)
    """

    n: int
    fraction: float
    kappa: float
    kappa_interval: tuple[float, float]
    confusion: Table


def compare_labellers(
    first: ArrayLike, second: ArrayLike, *, classes: Sequence[str] = LABELS
) -> Agreement:
    """Compare the labels of two labellers.

    Parameters
    ----------
    first, second : array_like of str
        Labels of the same sources, of shape ``(n,)``; masked or empty for unlabelled sources.
    classes : sequence of str, optional
        The classes to compare. Sources with another label by either labeller are ignored.

    Returns
    -------
    agreement : Agreement
        Kappa, its interval, and the table of counts.

    Raises
    ------
    ValueError
        If the lengths differ, or a label is unknown.

    Notes
    -----
    Kappa and its standard error are those of Cohen (1960, Educational and Psychological
    Measurement 20, 37).

    Examples
    --------
    >>> from shredfinder.labelling import compare_labellers
    >>> agreement = compare_labellers(
    ...     ["galaxy", "galaxy", "shred", "shred", "other"],
    ...     ["galaxy", "shred", "shred", "shred", "other"],
    ... )
    >>> round(agreement.fraction, 2), round(agreement.kappa, 2)
    (0.8, 0.69)
    >>> agreement.confusion.pprint()
    first  galaxy shred other
    ------ ------ ----- -----
    galaxy      1     1     0
     shred      0     2     0
     other      0     0     1
    """
    first, second = _check_labels([first, second])
    classes = list(classes)
    both = np.isin(first, classes) & np.isin(second, classes)
    first, second = first[both], second[both]
    n = len(first)
    counts = np.zeros((len(classes), len(classes)), dtype=int)
    fraction, kappa, error = np.nan, np.nan, np.nan
    if n:
        from sklearn.metrics import cohen_kappa_score, confusion_matrix

        counts = confusion_matrix(first, second, labels=classes)
        fraction = float(np.mean(first == second))
        # With a single class throughout, kappa is 0/0, about which scikit-learn warns.
        if len({*first, *second}) > 1:
            kappa = float(cohen_kappa_score(first, second))
            chance = counts.sum(0) @ counts.sum(1) / n**2
            # Standard error of kappa for large samples (Cohen 1960).
            error = np.sqrt(fraction * (1 - fraction) / n) / (1 - chance)
    # Columns are the second labeller's classes, hence the transposed matrix.
    confusion = Table({"first": classes} | dict(zip(classes, counts.T, strict=True)))
    interval = (float(kappa - 1.96 * error), float(min(kappa + 1.96 * error, 1.0)))
    return Agreement(n, fraction, kappa, interval, confusion)


def find_consensus(
    labels: Sequence[ArrayLike], decision: ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Find the labels on which labellers agree, and those that they dispute.

    Parameters
    ----------
    labels : sequence of array_like of str
        The labels of all sources by each labeller, of shape ``(n,)``; masked or empty for
        unlabelled sources.
    decision : array_like of str, optional
        Labels of a further inspection, which decide disputed sources.

    Returns
    -------
    consensus : `~numpy.ndarray` of str
        The class if all who labelled a source agree, ``"disputed"`` if they disagree, and empty
        for unlabelled sources.
    final : `~numpy.ndarray` of str
        The consensus, or for disputed sources the decision if there is one.

    Raises
    ------
    ValueError
        If the numbers of sources differ, or a label is unknown.

    Examples
    --------
    >>> from shredfinder.labelling import find_consensus
    >>> consensus, final = find_consensus(
    ...     [["galaxy", "shred", ""], ["galaxy", "galaxy", ""]], decision=["", "shred", ""]
    ... )
    >>> consensus.tolist(), final.tolist()
    (['galaxy', 'disputed', ''], ['galaxy', 'shred', ''])
    """
    if len(labels) == 0:
        raise ValueError("labels is empty: pass the labels of at least one labeller")
    labels = _check_labels([*labels, *([] if decision is None else [decision])])
    decision = labels.pop() if decision is not None else np.full(len(labels[0]), "")
    consensus = np.full(len(labels[0]), "", dtype=f"<U{len(DISPUTED)}")
    # First the label of the first labeller who has one, then all that differ from it.
    for label in labels:
        consensus = np.where(consensus == "", label, consensus)
    for label in labels:
        consensus[(label != "") & (label != consensus)] = DISPUTED
    return consensus, np.where((consensus == DISPUTED) & (decision != ""), decision, consensus)


def tabulate_labels(
    labels: Table, *, decider: str | None = None, identifier: str = "objID"
) -> Table:
    """Combine the labels of all labellers into a training table with one row per source.

    Parameters
    ----------
    labels : `~astropy.table.Table`
        One row per label, from `read_labels`.
    decider : str, optional
        The labeller whose labels are a further inspection: they decide disputed sources, and do
        not count towards the consensus.
    identifier : str, optional
        Name of the column of identifiers.

    Returns
    -------
    table : `~astropy.table.Table`
        One row per labelled source: the identifier; ``label`` and ``confidence`` of the first
        labeller, ``label2`` and ``confidence2`` of the second, and so on in alphabetical order,
        masked for unlabelled sources; ``consensus`` and ``final`` from `find_consensus`; and
        ``p_shred``, the soft label of `~shredfinder.training.combine_raters`, in which the
        decision on a disputed source counts as one more guess. ``meta["labellers"]`` lists the
        labellers in the order of the columns.

    Raises
    ------
    ValueError
        If the decider has no labels, or nobody else has any.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.labelling import tabulate_labels
    >>> labels = Table(
    ...     rows=[(7, "ann", "galaxy", 3), (8, "ann", "shred", 1), (8, "ben", "galaxy", 2)],
    ...     names=["objID", "labeller", "label", "confidence"],
    ... )
    >>> table = tabulate_labels(labels)
    >>> table["objID", "label", "label2", "consensus", "p_shred"].pprint()
    objID label  label2 consensus p_shred
    ----- ------ ------ --------- -------
        7 galaxy     --    galaxy    0.02
        8  shred galaxy  disputed    0.41
    """
    names = sorted(set(np.asarray(labels["labeller"]).tolist()))
    if decider is not None and decider not in names:
        raise ValueError(
            f"the decider {decider!r} has no labels: the labellers are {', '.join(names)}"
        )
    labellers = [name for name in names if name != decider]
    if not labellers:
        raise ValueError("the table has no labels of labellers other than the decider")
    theirs = np.isin(np.asarray(labels["labeller"]), labellers)
    sources = list(dict.fromkeys(np.asarray(labels[identifier])[theirs].tolist()))
    # Per labeller: one class and one confidence per source, "" and 0 where unlabelled.
    classes: dict[str, np.ndarray] = {}
    confidences: dict[str, np.ndarray] = {}
    for name in names:
        rows = labels[np.asarray(labels["labeller"]) == name]
        given = {row[identifier]: (row["label"], row["confidence"]) for row in rows}
        pairs = [given.get(source, ("", 0)) for source in sources]
        classes[name] = np.array([str(label) for label, _ in pairs])
        confidences[name] = np.array([int(confidence) for _, confidence in pairs])
    decision = None if decider is None else classes[decider]
    consensus, final = find_consensus([classes[name] for name in labellers], decision)
    table = Table({identifier: sources}, masked=False)
    for i, name in enumerate(labellers, start=1):
        unlabelled = classes[name] == ""
        for column, values in (("label", classes), ("confidence", confidences)):
            masked = np.ma.array(values[name], mask=unlabelled)
            table[f"{column}{i if i > 1 else ''}"] = masked if unlabelled.any() else values[name]
    opinions = [np.ma.array(classes[name], mask=classes[name] == "") for name in labellers]
    weights = [confidences[name] for name in labellers]
    if decision is not None:
        # A source that two labellers dispute is ambiguous: the decision counts as a guess,
        # whatever its confidence.
        moot = (consensus != DISPUTED) | (decision == "")
        opinions.append(np.ma.array(decision, mask=moot))
        weights.append(np.ones(len(sources), int))
    table["consensus"], table["final"] = consensus, final
    p_shred = combine_raters(opinions, weights)
    table["p_shred"] = Column(p_shred.round(4), description="soft label for training")
    table.meta["labellers"] = labellers
    return table


def _check_labels(labels):
    """Convert labels to arrays of str, empty where masked, and check them."""
    checked = []
    for given in labels:
        # As objects, so that the fill value is not truncated, and bytes can be decoded.
        values = np.ma.filled(np.ma.asarray(given).astype(object), "").tolist()
        texts = [value.decode() if isinstance(value, bytes) else str(value) for value in values]
        checked.append(np.array(texts, dtype=str))
        unknown = sorted(set(texts) - {*LABELS, DISPUTED, ""})
        if unknown:
            raise ValueError(
                f"unknown labels {', '.join(map(repr, unknown[:5]))}: the classes are "
                f"{', '.join(LABELS)}"
            )
    sizes = {len(values) for values in checked}
    if len(sizes) > 1:
        raise ValueError(
            f"the labellers have {', '.join(map(str, sorted(sizes)))} labels: pass one label per "
            "source for each labeller, masked for unlabelled sources"
        )
    return checked
