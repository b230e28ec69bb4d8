"""
Explain a score
===============

An occlusion map shows which parts of an image determine its score. It masks each part in
turn and measures how the score changes. It works with every model and needs no
deep-learning framework. The sources are simulated.
"""

from shredfinder import ShredClassifier
from shredfinder.datasets import example_candidates, example_cutouts
from shredfinder.explanation import occlusion_maps
from shredfinder.plotting import plot_explanation

table, cutouts = example_candidates(), example_cutouts()
classifier = ShredClassifier.load()
p_cnn, _ = classifier.predict_p_cnn(cutouts)

# %%
# Choose the two most probable shreds, the two most uncertain sources, and the two brightest
# galaxies.

rows = [
    *p_cnn.argsort()[-2:],
    *abs(p_cnn - 0.5).argsort()[:2],
    *[i for i in table["r"].argsort() if p_cnn[i] < 0.1][:2],
]
maps = occlusion_maps(classifier, cutouts[rows], progress=False)

# %%
# Yellow regions are evidence for a shred, blue ones for a galaxy.

titles = [f"{table['type'][i]}, p_cnn = {p_cnn[i]:.2f}" for i in rows]
figure = plot_explanation(cutouts[rows], maps, titles=titles, n_columns=2, limit=4)
