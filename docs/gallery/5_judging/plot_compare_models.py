"""
Compare two models
==================

Compare two models on the same sources, and compute the interval of the difference. It is
narrower than the intervals of both models suggest. In this example, the embedded model and
the robust model score simulated sources with the seeing and depth of SDSS.
"""

import numpy as np
from matplotlib import pyplot as plt

from shredfinder import ShredClassifier
from shredfinder.datasets import degrade_cutouts, make_field
from shredfinder.evaluation import compare_aucs, compare_models, compute_metrics
from shredfinder.plotting import plot_roc

fields = [make_field(random_state=seed) for seed in (4, 5, 6)]
y = np.concatenate([field.sources["label"] == "shred" for field in fields]).astype(int)
poor = np.concatenate([
    degrade_cutouts(field.cutouts(), "sdss-dr17", random_state=1).images for field in fields
])  # fmt: skip

scores = {}
for name in ("embedded", "robust"):
    model = ShredClassifier.load(None if name == "embedded" else name)
    scores[name], _ = model.predict_p_cnn(poor)
    metrics = compute_metrics(y, scores[name])
    print(f"{name:9s} AUC {metrics['auc']:.4f}, accuracy {metrics['accuracy']:.3f}")

# %%
# Sources around the same host are not independent. `~shredfinder.evaluation.compare_models`
# therefore resamples groups. In this example, a group is a host with its satellites and
# shreds.

groups = np.concatenate([
    # Isolated galaxies are groups of their own. Identifiers repeat from field to field.
    1_000_000 * i + np.where(field.sources["host_id"] > 0, field.sources["host_id"],
                             field.sources["objID"])
    for i, field in enumerate(fields)
])  # fmt: skip
found = compare_models(y, scores["robust"], scores["embedded"], groups, n_resamples=500)
for name in ("auc", "accuracy"):
    gain = found[name]
    print(f"gain in {name}: {gain['difference']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})")

# %%
# DeLong's test compares the areas under two curves if the sources are independent.

print(f"p = {compare_aucs(y, scores['robust'], scores['embedded'])['p_value']:.2g}")

# %%
# Both curves on the same axes.

fig, ax = plt.subplots(figsize=(5.6, 5.2))
plot_roc(y, scores["embedded"], label="embedded", color="#0072b2", zoom=False, ax=ax)
plot_roc(y, scores["robust"], label="robust", color="#d55e00", zoom=False, ax=ax)
ax.set_title("Simulated, at the depth of SDSS", fontsize=11)
