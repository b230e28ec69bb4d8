"""
Merge shreds with their galaxies
================================

If you discard shreds, their light is lost. Merging adds it to the galaxy that they belong to,
and returns one row per galaxy. The example data are a simulated field and its deblended
catalogue. The fluxes of a galaxy's entries add up to its total flux. This script needs the
extra ``photometry``.
"""

import numpy as np
from matplotlib import pyplot as plt

from shredfinder.cutouts import LocalImages
from shredfinder.datasets import example_candidates, example_cutouts, example_field
from shredfinder.hosts import find_parents, measure_galaxies
from shredfinder.plotting import plot_merge

table = example_candidates()
cutouts = example_cutouts()
table.add_p_cnn(cutouts=cutouts, progress=False)

# %%
# Find the parent of each shred. The argument ``cutouts`` is optional. It adds the light
# between a shred and the galaxies around it as evidence.

parents = find_parents(table, cutouts)
galaxies = table.merge_shreds(parents=parents)
print(f"{len(table)} rows, {len(galaxies)} galaxies")
brightest = galaxies[np.argsort(galaxies["r"])][:6]
brightest["objid", "r", "n_shreds", "merge_kind"]

# %%
# Compare the magnitudes before and after merging with the true magnitudes. Merging is only as
# good as the scores: a wrong piece makes a small galaxy too bright.

field = example_field()
truth = dict(field.galaxies.iterrows("galaxy_id", "r"))
before = dict(table.iterrows("objid", "r"))
rows = [row for row in galaxies if row["n_shreds"] and row["objid"] in truth]
true = np.array([truth[row["objid"]] for row in rows])
fig, ax = plt.subplots(figsize=(6.4, 4.2))
ax.axhline(0, color="0.6", linewidth=1)
ax.plot(true, [before[row["objid"]] for row in rows] - true, "o", label="catalogue")
ax.plot(true, [row["r"] for row in rows] - true, "s", label="merged")
ax.set_xlabel("true r (mag)")
ax.set_ylabel("r − true r (mag)")
ax.legend(fontsize=10)

# %%
# If the sum of the entries is not the flux of the galaxy, measure the total flux in images with
# ``table.merge_shreds("image", images=...)``. The images are from a service, a folder of bricks,
# or arrays with a WCS, as here. The figure shows the curve of growth of one host.

images = LocalImages(
    {band: [(image, field.wcs)] for band, image in zip(field.bands, field.fluxes, strict=True)},
    flux_scale=1,
)
lights = measure_galaxies(table, images, parents=parents, ids=[1031])
figure = plot_merge(lights[0])
