"""
Train a model on five bands
===========================

Images of another survey need their own model. This example trains one on simulated SDSS
fluxes in u, g, r, i and z. The sample and the number of epochs are far too small for real
use. Use at least a thousand labelled sources and 60 epochs.
This script needs a deep-learning backend, such as the extra ``jax``.
"""

import tempfile
from pathlib import Path

import numpy as np

from shredfinder import Cutouts, ShredClassifier
from shredfinder.datasets import make_field
from shredfinder.plotting import plot_history, plot_roc

# %%
# Simulate observations of three fields: two for training, one for testing. Cutouts of 64
# pixels keep this example fast.

fields = [make_field(random_state=seed) for seed in (1, 2, 3)]
observed = [field.observe("sdss-dr17", size=64, random_state=1) for field in fields]
labels = [np.asarray(field.sources["label"]) for field in fields]
training = Cutouts(
    np.concatenate([cutouts.images for cutouts in observed[:2]]),
    pixel_scale=observed[0].pixel_scale,
    bands=observed[0].bands,
    color_mapping="flux",
)
print(training)

# %%
# Train. The stretch of each band is fitted to the images and becomes part of the model.

classifier = ShredClassifier(survey="sdss-dr17", epochs=15, random_state=1)
classifier.fit(training, np.concatenate(labels[:2]), progress=False)
figure = plot_history(classifier.history_, title="Training")

# %%
# Test the model on the third field.

y = (labels[2] == "shred").astype(int)
p_cnn, flags = classifier.predict_p_cnn(observed[2])
ax = plot_roc(y, p_cnn, label="test field", zoom=False)

# %%
# Save the model. The file contains the bands, the pixel scale and the stretch. Scoring with
# it needs no backend: ``table.add_p_cnn("sdss.shredmodel", cutouts=...)``.

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "sdss.shredmodel"
    classifier.save(path)
    loaded = ShredClassifier.load(path)
print(loaded.bands_, loaded.pixel_scale_, loaded.size_)
