"""
Merge shreds with their galaxies
================================

Instead of dropping shreds, add their light to the galaxy that they belong to. The result
has one row per galaxy. The field is simulated, with the catalogue of a deblender: the
fluxes of a galaxy's entries add up to its total. This script needs the extra
``photometry``.
"""

import numpy as np
from matplotlib import pyplot as plt

from shredfinder import ShredTable
from shredfinder.datasets import make_shredded_field
from shredfinder.plotting import plot_field

field = make_shredded_field(900, 5, n_dwarfs=1, n_pairs=1, random_state=3)
table = ShredTable(field.sources)
cutouts = field.cutouts()
table.add_p_cnn(cutouts=cutouts, progress=False)

# %%
# ``cutouts`` are optional. With them, the light between a shred and the galaxies around it
# decides to which one it belongs.

galaxies = table.merge_shreds(cutouts=cutouts)
print(f"{len(table)} rows, {len(galaxies)} galaxies")
brightest = galaxies[np.argsort(galaxies["r"])][:6]
brightest["r"].format = ".2f"
brightest["objID", "r", "n_shreds", "merge_kind"]

# %%
# The magnitudes of the galaxies before and after, compared with the truth of the
# simulation. A galaxy without shreds does not change.

truth = dict(field.galaxies.iterrows("galaxy_id", "r"))
before = dict(table.iterrows("objID", "r"))
rows = [row for row in galaxies if row["n_shreds"] and row["objID"] in truth]
true = np.array([truth[row["objID"]] for row in rows])
fig, ax = plt.subplots(figsize=(6.4, 4.2))
ax.axhline(0, color="0.6", linewidth=1)
ax.plot(true, [before[row["objID"]] for row in rows] - true, "o", label="catalogue")
ax.plot(true, [row["r"] for row in rows] - true, "s", label="merged")
ax.set_xlabel("true r (mag)")
ax.set_ylabel("r − true r (mag)")
ax.legend(fontsize=10)

# %%
# The entries before merging, by score.

ax = plot_field(field.image, field.wcs, table)
