"""
Correct for the shred fraction
==============================

``p_cnn`` assumes the training set's 38 % shred fraction. If shreds are rarer in your
catalogue, the same image is less likely to be a shred. The argument ``prior`` corrects the
scores (Saerens et al. 2002).
"""

import numpy as np
from astropy.table import vstack
from matplotlib import pyplot as plt

from shredfinder import ShredTable
from shredfinder.datasets import make_field
from shredfinder.models import adjust_prior

# %%
# The effect of the correction: the probability of the same image for four shred fractions.

scores = np.linspace(0.001, 0.999, 500)
fig, ax = plt.subplots(figsize=(5.6, 4.4))
for prior in (0.382, 0.2, 0.05, 0.01):
    ax.plot(
        scores,
        adjust_prior(scores, prior, training_prior=0.382),
        label=f"{prior:.3g}",
    )
ax.axhline(0.5, color="0.6", linewidth=0.8)
ax.set_xlabel("p_cnn without a prior")
ax.set_ylabel("p_cnn with a prior")
ax.legend(title="shred fraction", fontsize=10)

# %%
# A simulated catalogue in which few sources are shreds: all galaxies of five fields, and
# every eighth shred.

fields = [make_field(random_state=seed) for seed in (1, 2, 3, 4, 5)]
table = ShredTable(vstack([field.sources for field in fields], metadata_conflicts="silent"))
images = np.concatenate([field.cutouts().images for field in fields])
is_shred = table["label"] == "shred"
chosen = ~is_shred | (np.cumsum(is_shred) % 8 == 0)
table, images, is_shred = table[chosen], images[chosen], is_shred[chosen]
print(f"{len(table)} sources, {np.mean(is_shred):.1%} are shreds")

# %%
# Without a prior, too many sources are classified as shreds. ``prior="estimate"`` estimates
# the fraction from the catalogue's own scores, of which it needs 300 or more. The estimate
# assumes calibrated scores: the embedded model is calibrated on real images, and its
# estimate may be off on simulated ones.

table.add_p_cnn(cutouts=images, progress=False)
raw = np.array(table["p_cnn"])
table.add_p_cnn(cutouts=images, prior="estimate", progress=False)
meta = table["p_cnn"].meta["shredfinder"]
print(f"counted without a prior    {np.mean(raw >= 0.5):.1%}")
print(f"estimated fraction         {meta['prior']:.1%} ± {meta['prior_error']:.1%}")
print(f"counted with the estimate  {np.mean(table['p_cnn'] >= 0.5):.1%}")

# %%
# If you know the fraction, set ``prior=0.05``. To correct scores that you already have, use
# `~shredfinder.models.adjust_prior`:

for prior in (0.2, 0.05, 0.01):
    corrected = adjust_prior(raw, prior, training_prior=0.382)
    print(f"prior {prior:.2f}: {np.sum(corrected >= 0.5)} of {len(table)} sources are shreds")
