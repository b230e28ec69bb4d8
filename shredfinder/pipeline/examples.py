"""Examples of shreds and galaxies, to look at."""

import numpy as np

from shredfinder.cutouts import fetch_cutouts
from shredfinder.table.sources import complete_options, open_cutouts

__all__ = ["choose_galleries"]

# As many of each class as in the paper's figure 4.
_N_EXAMPLES = 15


def choose_galleries(search, classifier, images, *, n_examples=_N_EXAMPLES, random_state=1):
    """Draw random shreds and galaxies of a search, with their cutouts.

    Parameters
    ----------
    search : SatelliteSearch
        The search.
    classifier : ShredClassifier
        Says what kind of images they are.
    images : dict
        Where they come from: ``fetch``, or ``cutouts`` and ``pattern``.
    n_examples : int, optional
        How many of each class, at most.
    random_state : int, optional
        Seed of the choice.

    Returns
    -------
    galleries : dict
        From ``"shreds"`` and ``"galaxies"`` to rows, in the order of ``p_cnn``, and their
        `~shredfinder.Cutouts`; a class without members is left out.
    """
    rng = np.random.default_rng(random_state)
    galleries = {}
    for name, table in (("shreds", search.shreds), ("galaxies", search.satellites)):
        if not len(table):
            continue
        chosen = rng.choice(len(table), min(n_examples, len(table)), replace=False)
        rows = table[chosen[np.argsort(-np.asarray(table["p_cnn"])[chosen])]]
        if "fetch" in images:
            found = fetch_cutouts(rows, **complete_options(classifier, images["fetch"]))
        else:
            found = open_cutouts(rows, classifier, images["cutouts"], pattern=images["pattern"])[:]
        galleries[name] = rows, found
    return galleries
