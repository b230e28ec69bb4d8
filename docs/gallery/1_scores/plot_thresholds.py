"""
Choose a threshold
==================

The default threshold is 0.5. With labelled sources, you can choose a threshold that keeps a
given fraction of the galaxies, or selects shreds with a given purity. This example uses
three simulated fields, whose true classes are known.
"""

import numpy as np
from matplotlib import pyplot as plt

from shredfinder import ShredClassifier
from shredfinder.datasets import make_field
from shredfinder.evaluation import choose_threshold, prevalence_metrics

classifier = ShredClassifier.load()
fields = [make_field(random_state=seed) for seed in (4, 5, 6)]
y = np.concatenate([field.sources["label"] == "shred" for field in fields]).astype(int)
p_cnn = np.concatenate([classifier.predict_p_cnn(field.cutouts())[0] for field in fields])
print(f"{len(y)} sources, of which {y.sum()} are shreds")

# %%
# Among real satellite candidates, only a few per cent are shreds.
# `~shredfinder.evaluation.choose_threshold` takes the fraction in your catalogue. It returns
# the threshold with the highest purity for a given completeness, or with the highest
# completeness for a given purity.

PREVALENCE = 0.05
kept = choose_threshold(y, p_cnn, PREVALENCE, completeness=0.99, of="galaxy")
removed = choose_threshold(y, p_cnn, PREVALENCE, purity=0.5, of="shred")
for name, choice in (("galaxies kept", kept), ("shreds removed", removed)):
    print(
        f"{name}: threshold {choice['threshold']:.3f}, completeness {choice['completeness']:.3f}, "
        f"purity {choice['purity']:.3f}"
    )

# %%
# Purity and completeness of the removed shreds at all thresholds. Thresholds close to 1 are
# spread out by plotting the logit of ``p_cnn``.

thresholds = 1 / (1 + np.exp(-np.linspace(-4, 6, 101)))
curves = [prevalence_metrics(y, p_cnn, PREVALENCE, threshold=t) for t in thresholds]
fig, ax = plt.subplots(figsize=(6.4, 4.2))
ax.plot(
    thresholds,
    [curve["completeness"] for curve in curves],
    label="completeness of the shreds",
)
ax.plot(thresholds, [curve["purity"] for curve in curves], label="purity of the shreds")
ax.axvline(
    kept["threshold"],
    color="0.4",
    linestyle="dashed",
    label="99 % of galaxies kept",
)
ax.set_xscale("logit")
ax.set_xlabel("threshold of p_cnn")
ax.set_ylabel("fraction")
ax.set_title(f"Simulated fields, {PREVALENCE:.0%} shreds", fontsize=11)
ax.legend(fontsize=10)
