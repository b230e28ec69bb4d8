"""
Score a table and show the result
=================================

Add the probability of being a shred to each row of a table, and show the cutouts of the
most probable shreds. The candidates and their cutouts are example data: a simulated field.
"""

from shredfinder.datasets import example_candidates, example_cutouts, example_field
from shredfinder.plotting import plot_field, plot_gallery

table = example_candidates()
cutouts = example_cutouts()

# %%
# Score the rows. `~shredfinder.add_p_cnn` uses the model that is part of the package.
# Without ``cutouts``, it fetches them from the survey's service by position.

table.add_p_cnn(cutouts=cutouts, progress=False)
table["objid", "ra", "dec", "r", "p_cnn"][:6]

# %%
# Plot the field. Shreds are solid yellow, galaxies dashed red.

field = example_field()
ax = plot_field(field.image, field.wcs, table)

# %%
# Plot the twelve most probable shreds, with ``p_cnn`` in the corner and the r magnitude
# above.

best = table["p_cnn"].argsort()[::-1][:12]
figure = plot_gallery(
    cutouts[best],
    scores=table["p_cnn"][best],
    titles=[f"r = {r:.1f}" for r in table["r"][best]],
    n_columns=4,
)

# %%
# Select the galaxies. Unscored rows are NaN, and are in neither selection.

galaxies = table[table["p_cnn"] < 0.5]
shreds = table[table["p_cnn"] >= 0.5]
print(f"{len(table)} sources: {len(galaxies)} galaxies, {len(shreds)} shreds")
