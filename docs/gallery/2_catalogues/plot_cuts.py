"""
Select candidates by colour and surface brightness
==================================================

Satellite galaxies are blue and diffuse for their magnitude. The cuts of the SAGA survey,
with the thresholds of Di Teodoro, Peek & Wu (2023), select them in two planes. Shreds pass
these cuts as galaxies do, so that the scores are needed as well. The fields are simulated.
"""

import numpy as np
from astropy.table import vstack
from matplotlib import pyplot as plt

from shredfinder.cuts import effective_surface_brightness, saga_cut
from shredfinder.datasets import make_field
from shredfinder.surveys import SAGA_THRESHOLDS

fields = [make_field(random_state=seed).sources for seed in (1, 2, 3)]
sources = vstack(fields, metadata_conflicts="silent")
g, r, radius = (np.asarray(sources[name]) for name in ("g", "r", "radius"))
is_shred = sources["label"] == "shred"

# %%
# Apply all cuts at once: magnitude, surface brightness and colour. With a real catalogue,
# use `~shredfinder.cuts.candidate_cut`, which finds the survey's columns, corrects for
# extinction and applies the quality cuts too.

passed = saga_cut(g, r, radius)
for name, rows in (("galaxies", ~is_shred), ("shreds", is_shred)):
    print(f"{np.sum(passed & rows)} of {rows.sum()} {name} pass")

# %%
# Plot both planes. The shaded side of each line is excluded, as are sources fainter than
# the limit.

limits = SAGA_THRESHOLDS
line = np.array([13.0, 23.0])
planes = (
    (
        "μ_eff (mag / arcsec²)",
        effective_surface_brightness(r, radius),
        limits["sb_limit"] + limits["sb_slope"] * (line - 14),
        (28, 15),
    ),
    (
        "g − r (mag)",
        g - r,
        limits["color_limit"] - limits["color_slope"] * (line - 14),
        (-0.4, 1.8),
    ),
)
fig, axes = plt.subplots(2, 1, figsize=(6.4, 8.2), sharex=True)
for ax, (label, values, boundary, ylim) in zip(axes, planes, strict=True):
    for name, rows, color in (
        ("galaxy", ~is_shred, "#0072b2"),
        ("shred", is_shred, "#e69f00"),
    ):
        for chosen, face in ((rows & passed, color), (rows & ~passed, "none")):
            ax.scatter(r[chosen], values[chosen], 22, facecolors=face, edgecolors=color)
        ax.scatter([], [], 22, color=color, label=name)
    ax.plot(line, boundary, color="0.2")
    ax.fill_between(line, boundary, ylim[1], color="0.5", alpha=0.15, linewidth=0)
    ax.axvline(limits["r_max"], color="0.2", linestyle="dashed")
    ax.set(ylabel=label, xlim=line, ylim=ylim)
axes[0].scatter([], [], 22, facecolors="none", edgecolors="0.3", label="excluded")
axes[0].legend(fontsize=10)
axes[1].set_xlabel("r (mag)")
