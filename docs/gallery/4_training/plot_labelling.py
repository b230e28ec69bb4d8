"""
Label cutouts and measure the agreement
=======================================

Two people label the same cutouts. Their agreement shows how reliable the labels are. A third
person decides the disputed sources, and a model finds labels that are probably wrong. In
this example, the field and both labellers are simulated. Each labeller makes random errors,
more often on faint sources.
"""

import tempfile
from pathlib import Path

import numpy as np

from shredfinder import ShredClassifier
from shredfinder.datasets import make_field
from shredfinder.labelling import (
    LabellingSession,
    LabelStore,
    compare_labellers,
    next_to_label,
    rank_contradicted,
    tabulate_labels,
)
from shredfinder.plotting import plot_gallery

field = make_field(random_state=4)
sources, cutouts = field.sources, field.cutouts()

# %%
# A session shows the sources in a different order to each labeller, and saves each label
# immediately. To label by eye, use the page of ``shredfinder label``, or ``LabellingWidget`` in
# Jupyter: both use this class.

folder = tempfile.TemporaryDirectory()
store = LabelStore(Path(folder.name) / "labels.ecsv")
for name, seed in (("ann", 1), ("ben", 2)):
    rng = np.random.default_rng(seed)
    session = LabellingSession(sources["objID"], store, name)
    while session.current is not None:
        row = session.current
        is_shred = sources["label"][row] == "shred"
        doubtful = sources["r"][row] > 19
        if rng.uniform() < (0.15 if doubtful else 0.03):
            is_shred = not is_shred
        session.label("shred" if is_shred else "galaxy", 1 if doubtful else 3)
store.labels["objID", "labeller", "label", "confidence"][:4]

# %%
# Cohen's κ is 1 for perfect agreement and 0 for agreement by chance.

table = tabulate_labels(store.labels)
agreement = compare_labellers(table["label"], table["label2"])
print(f"{agreement.n} sources, {agreement.fraction:.0%} agree, κ = {agreement.kappa:.2f}")
table["objID", "label", "label2", "consensus", "p_shred"][:5]

# %%
# Show the disputed sources.

rows = {identifier: row for row, identifier in enumerate(sources["objID"])}
disputed = [rows[i] for i in table["objID"][table["consensus"] == "disputed"]][:8]
figure = plot_gallery(
    cutouts[disputed], titles=[f"r = {sources['r'][i]:.1f}" for i in disputed], n_columns=4
)

# %%
# Find the labels that disagree most with a model trained on other sources. Inspect these
# first.

p_cnn, _ = ShredClassifier.load().predict_p_cnn(cutouts)
order = [rows[i] for i in table["objID"]]
contradicted = rank_contradicted(table["label"], p_cnn[order], n=5)
contradicted["truth"] = sources["label"][[order[i] for i in contradicted["row"]]]
contradicted

# %%
# Select what to label next: the sources of a new field with the most uncertain scores.

new = make_field(random_state=7)
p_new, _ = ShredClassifier.load().predict_p_cnn(new.cutouts())
print(p_new[next_to_label(p_new, 5)].round(2))
folder.cleanup()
