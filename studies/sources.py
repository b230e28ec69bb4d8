"""The labelled sources: images, labels, weights and folds."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from astropy.table import Table

from shredfinder import ShredClassifier
from shredfinder.evaluation import make_folds
from shredfinder.labelling import apply_corrections
from shredfinder.surveys import get_survey
from shredfinder.training import combine_raters, encode_labels

SURVEY = get_survey("legacy-dr9")
CORRECTIONS = Path(__file__).with_name("corrections.csv")
# Raters who saw the centre enlarged count double, and sources that remain arguable count little.
RATERS = {"": 1, "2": 1, "3": 2, "4": 2}
UNSETTLED = 0.3
# There are few stars and artefacts.
OTHERS = 3.0


@dataclass
class Sources:
    """The labelled sources.

    Attributes
    ----------
    table : `~astropy.table.Table`
        Labels of all raters.
    folder : `~pathlib.Path`
        The data.
    hard : `~numpy.ndarray`
        1 for shreds, 0 for galaxies, NaN for neither.
    soft : `~numpy.ndarray`
        Probability of galaxy, shred and other, of shape ``(n, 3)``.
    weights : `~numpy.ndarray`
        Weight of each source in training.
    agreed : `~numpy.ndarray` of bool
        Galaxies and shreds on which the raters agree: the test set.
    fold : `~numpy.ndarray`
        Number of the fold. Neighbours on the sky share one.
    """

    table: Table
    folder: Path
    hard: np.ndarray
    soft: np.ndarray
    weights: np.ndarray
    agreed: np.ndarray
    fold: np.ndarray

    @property
    def shred(self):
        """Whether the label of each source is shred."""
        return self.hard == 1

    @property
    def groups(self):
        """Group of each source on the sky."""
        return np.asarray(self.table["sky_group"])

    @property
    def certain(self):
        """Whether both first raters were certain of the same class."""
        sure = [np.asarray(self.table[name]) == 3 for name in ("confidence", "confidence2")]
        return sure[0] & sure[1] & np.asarray(self.table["label"] == self.table["label2"])

    @cached_property
    def all_cutouts(self):
        """The images of all sources as `Cutouts`."""
        paths = [self.folder / "cutouts" / f"{name}.png" for name in self.table["objID"]]
        return ShredClassifier().open_training(paths)[:]

    def cutouts(self, rows):
        """Return the images of the selected sources as `Cutouts`."""
        return self.all_cutouts[rows]


def load_sources(folder, labels="final4", corrected=False):
    """Read the labelled sources.

    Parameters
    ----------
    folder : path-like
        The data.
    labels : {"final4", "final"}, optional
        The vote of all four raters, or the labels of the first three looks.
    corrected : bool, optional
        Correct the first labels by ``corrections.csv``.
    """
    folder = Path(folder)
    table = Table.read(folder / "labels.ecsv")
    # Folds come from the first labels, so that other labels do not change them.
    fold = _make_folds(table)
    hard = encode_labels(table[labels])
    if labels == "final4":
        p, settled = _combine_all(table), np.asarray(table["settled4"])
        # The vote of four is surer than each of them: halfway between it and their confidences.
        p = np.where(settled & np.isfinite(hard), (p + hard) / 2, p)
    else:
        p, settled = _combine_first(table), np.asarray(table["consensus"]) != "disputed"
        if corrected:
            label = apply_corrections(table, Table.read(CORRECTIONS))
            changed = np.asarray(label != table["final"])
            hard = encode_labels(label)
            # The corrected label replaces the others, with the confidence "likely".
            p[changed] = combine_raters([label[changed]], [np.full(changed.sum(), 2)])
    is_other = ~np.isfinite(hard)
    p = np.where(np.isfinite(p), p, 0.5)
    weights = np.where(is_other, OTHERS, 1.0)
    if labels == "final4":
        weights = np.where(settled, weights, UNSETTLED)
    return Sources(
        table=table,
        folder=folder,
        hard=hard,
        soft=np.stack([(1 - p) * ~is_other, p * ~is_other, is_other], axis=1),
        weights=weights,
        agreed=settled & ~is_other,
        fold=fold,
    )


def _combine_all(table):
    """Return the probability of shred by all four raters."""
    names = [table[f"label{rater}"] for rater in RATERS]
    given = [np.ma.array(column, mask=np.asarray(column) == "") for column in names]
    confidences = [table[f"confidence{rater}"] for rater in RATERS]
    return combine_raters(given, confidences, weights=list(RATERS.values()))


def _combine_first(table):
    """Return the probability of shred by the first raters.

    The third label of disputed sources counts as one more rater with the confidence of a guess.
    """
    disputed = np.asarray(table["consensus"]) == "disputed"
    third = np.ma.array(np.asarray(table["final"]), mask=~disputed)
    return combine_raters(
        [table["label"], table["label2"], third],
        [table["confidence"], table["confidence2"], np.ones(len(table), int)],
    )


def _make_folds(table):
    groups = np.asarray(table["sky_group"])
    fold = make_folds(encode_labels(table["final"]), groups, n_splits=5, random_state=0)
    # Sources that are neither galaxy nor shred belong to the fold of their neighbours.
    for row in np.flatnonzero(fold < 0):
        known = fold[(groups == groups[row]) & (fold >= 0)]
        fold[row] = known[0] if len(known) else groups[row] % 5
    return fold
