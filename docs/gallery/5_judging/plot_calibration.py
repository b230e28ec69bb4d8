"""
Calibrate a model
=================

If scores are calibrated, 80 % of the sources with a score of 0.8 are shreds. The embedded
model is calibrated for real images. For images of another kind, such as those of another
survey, recalibrate it with a few hundred labelled sources. Here, these are simulated.
"""

import numpy as np

from shredfinder import ShredClassifier
from shredfinder.datasets import make_field
from shredfinder.evaluation import calibration_error
from shredfinder.plotting import plot_reliability


def make_sample(seeds):
    """Return images and true classes of simulated fields."""
    fields = [make_field(random_state=seed) for seed in seeds]
    images = [field.cutouts().images for field in fields]
    labels = [field.sources["label"] == "shred" for field in fields]
    return np.concatenate(images), np.concatenate(labels).astype(int)


# %%
# Fit the calibration to one sample, and evaluate it on another. For your own model, use
# cross-validated scores instead. Then no sources have to be set aside.

images, y = make_sample([1, 2, 3])
other_images, other_y = make_sample([4, 5, 6])
classifier = ShredClassifier.load()
before, _ = classifier.predict_p_cnn(other_images)

p_cnn, _ = classifier.predict_p_cnn(images)
classifier.calibrate(p_cnn, y)
after, _ = classifier.predict_p_cnn(other_images)
print(f"temperature {classifier.model_.calibration.temperature:.2f}")

# %%
# The calibration error is the mean difference between the score and the fraction of shreds.

for name, p in (("before", before), ("after", after)):
    print(f"{name:6s} {calibration_error(other_y, p):.3f}")

# %%
# Reliability diagram: a calibrated model follows the diagonal.
# ``classifier.save("mine.shredmodel")`` stores the calibration with the model.

ax = plot_reliability(other_y, before, n_bins=5, label="before", color="#0072b2")
plot_reliability(other_y, after, n_bins=5, label="after", color="#d55e00", ax=ax)
