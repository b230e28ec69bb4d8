"""How far labellers agree, and what they agree on."""

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
    """How far two labellers agree on the sources that both have labelled.

    Attributes
    ----------
    n : int
        Number of those sources.
    fraction : float
        Share on which they agree; NaN where there are none.
    kappa : float
        Cohen's kappa: that share beyond what chance would give, 1 for full agreement and 0 for
        none beyond chance; NaN where chance alone would give full agreement.
    kappa_interval : tuple of float
        95 % interval of kappa, from its large-sample standard error; NaN as kappa.
    confusion : `~astropy.table.Table`
        Counts: a row for each class of the first labeller, a column for each of the second.

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
        Labels of the same sources, of shape ``(n,)``; masked or empty where one has not labelled
        a source.
    classes : sequence of str, optional
        The classes. Sources that either calls otherwise are left out: with
        ``("galaxy", "shred")`` those called ``other``.

    Returns
    -------
    agreement : Agreement
        Kappa, with the table of counts.

    Raises
    ------
    ValueError
        If there are not as many of both, or a label is unknown.

    Notes
    -----
    Cohen (1960, Educational and Psychological Measurement 20, 37), with the standard error
    of that paper.

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
    counts = np.array(
        [[np.sum(both & (first == a) & (second == b)) for b in classes] for a in classes]
    )
    confusion = Table({"first": classes} | dict(zip(classes, counts.T, strict=True)))
    n = int(counts.sum())
    fraction, kappa, error = np.nan, np.nan, np.nan
    if n:
        fraction = np.trace(counts) / n
        chance = counts.sum(0) @ counts.sum(1) / n**2
        if chance < 1:
            kappa = (fraction - chance) / (1 - chance)
            error = np.sqrt(fraction * (1 - fraction) / n) / (1 - chance)
    interval = (float(kappa - 1.96 * error), float(min(kappa + 1.96 * error, 1.0)))
    return Agreement(n, float(fraction), float(kappa), interval, confusion)


def find_consensus(
    labels: Sequence[ArrayLike], decision: ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Find what labellers agree on, and what they dispute.

    Parameters
    ----------
    labels : sequence of array_like of str
        For each labeller the labels of all sources, of shape ``(n,)``; masked or empty where one
        has not labelled a source.
    decision : array_like of str, optional
        Labels of a further look, which decide what is disputed.

    Returns
    -------
    consensus : `~numpy.ndarray` of str
        The class where all who labelled a source agree, ``"disputed"`` where they don't, and
        empty where nobody has labelled it.
    final : `~numpy.ndarray` of str
        The consensus, and for the disputed what the decision says, where it says something.

    Raises
    ------
    ValueError
        If the labellers' sources are not as many, or a label is unknown.

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
        raise ValueError("there is no labeller: give the labels of at least one")
    labels = _check_labels([*labels, *([] if decision is None else [decision])])
    decision = labels.pop() if decision is not None else np.full(len(labels[0]), "")
    consensus = np.full(len(labels[0]), "", dtype=f"<U{len(DISPUTED)}")
    for label in labels:
        consensus = np.where(consensus == "", label, consensus)
    for label in labels:
        consensus[(label != "") & (label != consensus)] = DISPUTED
    return consensus, np.where((consensus == DISPUTED) & (decision != ""), decision, consensus)


def tabulate_labels(
    answers: Table, *, decider: str | None = None, identifier: str = "objID"
) -> Table:
    """Turn answers into a table of sources, as a model is trained on.

    Parameters
    ----------
    answers : `~astropy.table.Table`
        A row for each answer, as `read_answers` gives them.
    decider : str, optional
        The labeller whose answers are a further look: they decide what the others dispute, and
        do not count for the consensus.
    identifier : str, optional
        The column that names a source.

    Returns
    -------
    table : `~astropy.table.Table`
        A row for each source that a labeller has labelled: the identifier; ``label`` and
        ``confidence`` of the first labeller, ``label2`` and ``confidence2`` of the second, and so
        on by name, masked where one has not labelled it; ``consensus`` and ``final`` as of
        `find_consensus`; ``p_shred``, the soft label of `~shredfinder.training.combine_raters`,
        where the decision on a disputed source counts as one more guess. Who is who is in
        ``meta["labellers"]``.

    Raises
    ------
    ValueError
        If the decider has no answers, or nobody else has any.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from shredfinder.labelling import tabulate_labels
    >>> answers = Table(
    ...     rows=[(7, "ann", "galaxy", 3), (8, "ann", "shred", 1), (8, "ben", "galaxy", 2)],
    ...     names=["objID", "labeller", "label", "confidence"],
    ... )
    >>> table = tabulate_labels(answers)
    >>> table["objID", "label", "label2", "consensus", "p_shred"].pprint()
    objID label  label2 consensus p_shred
    ----- ------ ------ --------- -------
        7 galaxy     --    galaxy    0.02
        8  shred galaxy  disputed    0.41
    """
    names = sorted(set(np.asarray(answers["labeller"]).tolist()))
    if decider is not None and decider not in names:
        raise ValueError(
            f"the decider {decider!r} has no answers: the labellers are {', '.join(names)}"
        )
    labellers = [name for name in names if name != decider]
    if not labellers:
        raise ValueError("there are no answers of labellers to tabulate")
    theirs = np.isin(np.asarray(answers["labeller"]), labellers)
    sources = list(dict.fromkeys(np.asarray(answers[identifier])[theirs].tolist()))
    labels, confidences = {}, {}
    for name in names:
        rows = answers[np.asarray(answers["labeller"]) == name]
        given = {row[identifier]: (row["label"], row["confidence"]) for row in rows}
        pairs = [given.get(source, ("", 0)) for source in sources]
        labels[name] = np.array([str(label) for label, _ in pairs])
        confidences[name] = np.array([int(confidence) for _, confidence in pairs])
    consensus, final = find_consensus([labels[name] for name in labellers], labels.get(decider))
    table = Table({identifier: sources}, masked=False)
    for i, name in enumerate(labellers, start=1):
        unlabelled = labels[name] == ""
        for column, values in (("label", labels), ("confidence", confidences)):
            masked = np.ma.array(values[name], mask=unlabelled)
            table[f"{column}{i if i > 1 else ''}"] = masked if unlabelled.any() else values[name]
    opinions = [np.ma.array(labels[name], mask=labels[name] == "") for name in labellers]
    sureness = [confidences[name] for name in labellers]
    if decider is not None:
        # However sure, a look at what others dispute is no surer than a guess.
        moot = (consensus != DISPUTED) | (labels[decider] == "")
        opinions.append(np.ma.array(labels[decider], mask=moot))
        sureness.append(np.ones(len(sources), int))
    table["consensus"], table["final"] = consensus, final
    p_shred = combine_raters(opinions, sureness)
    table["p_shred"] = Column(p_shred.round(4), description="soft label for training")
    table.meta["labellers"] = labellers
    return table


def _check_labels(labels):
    """Give labels as arrays of text, empty where there is none."""
    checked = []
    for given in labels:
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
            f"the labellers labelled {', '.join(map(str, sorted(sizes)))} sources: give the same "
            "ones for each, masked where one has no label"
        )
    return checked
