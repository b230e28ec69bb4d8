"""
Match candidates to hosts
=========================

Find the candidates within a projected radius of nearby galaxies, count the shreds of each
host, and compare the scores with a rule: SAGA removes what lies in the ellipse of a host.
The candidates and hosts are example data: a simulated field.
"""

import numpy as np
from astropy import units as u
from matplotlib.patches import Ellipse

from shredfinder.datasets import (
    example_candidates,
    example_cutouts,
    example_field,
    example_hosts,
)
from shredfinder.hosts import associate_shreds, match_hosts, shreds_by_rule
from shredfinder.plotting import plot_field

table = example_candidates()
table.add_p_cnn(cutouts=example_cutouts(), progress=False)

# %%
# A catalogue of hosts has positions and distances, or redshifts, and for the rule the
# Petrosian radius, axis ratio and position angle. For real catalogues use
# `~shredfinder.hosts.read_nsa` for the NASA-Sloan Atlas, or
# `~shredfinder.hosts.read_hosts`.

hosts = example_hosts()
hosts

# %%
# Match candidates to hosts within 40 kpc, at each host's distance. ``n_hosts`` counts the
# hosts within the radius; the nearest one is returned.

matches = match_hosts(table, hosts, 40 * u.kpc)
matches.round({"separation": 1, "projected_separation": 1})
matches["index", "host_id", "separation", "projected_separation", "n_hosts"][:5]

# %%
# Count the candidates and shreds of each host, with binomial intervals. The catalogue
# entries of the hosts themselves are excluded.

counts = associate_shreds(table[~table["host_entry"]], hosts, 40 * u.kpc).hosts
counts.round(2)
fractions = [name for name in counts.colnames if "fraction" in name]
counts["host_id", "n_candidates", "n_shreds", *fractions]

# %%
# The rule of the SAGA survey classifies every source in the ellipse of 2 × ``petro_th90`` as a
# shred, including galaxies in front of and behind the disc.

ruled = shreds_by_rule(table, hosts)
scored = table["p_cnn"] >= 0.5
true = table["label"] == "shred"
for name, selected in (("rule", ruled), ("p_cnn", scored)):
    print(f"{name:5s} finds {np.sum(selected & true)} of {true.sum()} shreds, "
          f"and {np.sum(selected & ~true)} galaxies")  # fmt: skip

# %%
# Shreds (solid yellow), galaxies (dashed red) and the ellipses of the rule (blue).

field = example_field()
ax = plot_field(field.image, field.wcs, table)
x, y = field.wcs.world_to_pixel_values(hosts["ra"], hosts["dec"])
for i, host in enumerate(hosts):
    major = 2 * 2 * host["petro_th90"] / field.pixel_scale
    # Position angles are counted from north to east: from up to left.
    angle = 90 + host["petro_phi90"]
    minor = major * host["petro_ba90"]
    ax.add_patch(Ellipse((x[i], y[i]), major, minor, angle=angle, fill=False, color="#5ad1ff"))
