"""What a type checker says to a user's code: mypy reads this file, nothing runs it.

Lines that are wrong are marked so, and mypy complains of a mark where nothing is wrong.
"""

import numpy as np
from astropy.table import Table

from shredfinder import Cutouts, ShredClassifier, ShredTable, add_p_cnn
from shredfinder.cutouts import fetch_cutouts
from shredfinder.cuts import saga_cut


def right() -> None:
    """Use the package as its documentation says."""
    classifier: ShredClassifier = ShredClassifier.load()
    p_cnn, _ = classifier.predict_p_cnn(np.zeros((2, 128, 128, 3)), prior=0.05)
    assert isinstance(p_cnn, np.ndarray)
    classifier.fit(["a.png", "b.png"], [0, 1], validation=None).save("model.shredmodel")
    table = ShredTable({"ra": [1.0], "dec": [2.0]})
    table.add_p_cnn(classifier, "folder", pattern="{objID}.png")
    add_p_cnn(Table(), prior="estimate", progress=False)
    cutouts: Cutouts = fetch_cutouts(table, service="legacy", cache="folder")
    add_p_cnn(table, cutouts=cutouts)
    saga_cut(18.0, [17.0], np.ones(1))


def wrong() -> None:
    """Use the package as it can't be used."""
    ShredClassifier.load(3)  # type: ignore[arg-type]
    ShredClassifier().fit(["a.png"], [0], epochs="many")  # type: ignore[arg-type]
    add_p_cnn(Table(), prior="guess")  # type: ignore[arg-type]
    ShredClassifier().predict_prob([])  # type: ignore[attr-defined]
    _: int = ShredClassifier.load()  # type: ignore[assignment]
