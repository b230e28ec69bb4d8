"""
Fine-tune the embedded model
============================

With a few hundred labels, fine-tune the embedded model instead of training from scratch.
This example fine-tunes it for images with the seeing and depth of SDSS. It trains on two
simulated fields and tests on two others. This script needs a deep-learning backend, such as
the extra ``jax``.
"""

import numpy as np
from matplotlib import pyplot as plt

from shredfinder import ShredClassifier
from shredfinder.datasets import degrade_cutouts, make_field
from shredfinder.plotting import plot_roc


def make_sample(seeds):
    """Return degraded cutouts and labels of simulated fields."""
    fields = [make_field(800, 6, random_state=seed) for seed in seeds]
    poor = [degrade_cutouts(f.cutouts(), "sdss-dr17", random_state=1).images for f in fields]
    labels = [field.sources["label"] == "shred" for field in fields]
    return np.concatenate(poor), np.concatenate(labels).astype(int)


images, y = make_sample([1, 2])
test_images, test_y = make_sample([3, 4])
print(f"{len(y)} sources to train on, {len(test_y)} to test")

# %%
# If you call `~shredfinder.ShredClassifier.fit` on a loaded model, training starts from its
# weights, with a low learning rate. Six epochs keep this example fast. The default is more.

classifier = ShredClassifier.load()
before, _ = classifier.predict_p_cnn(test_images)
classifier.set_params(random_state=1)
classifier.fit(images, y, epochs=6, progress=False)
after, _ = classifier.predict_p_cnn(test_images)

# %%
# Compare both on the test fields.

fig, ax = plt.subplots(figsize=(5.6, 5.2))
plot_roc(test_y, before, label="embedded", color="#0072b2", zoom=False, ax=ax)
plot_roc(test_y, after, label="fine-tuned", color="#d55e00", zoom=False, ax=ax)
ax.set_title("Simulated, at the depth of SDSS", fontsize=11)
