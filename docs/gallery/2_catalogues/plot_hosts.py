"""
Match candidates to hosts
=========================

Find the candidates within a projected radius of nearby galaxies, count the shreds of each
host, and compare the scores with a rule: SAGA removes what lies in the ellipse of a host.
The field is simulated.
"""

import numpy as np
from astropy import units as u
from matplotlib.patches import Ellipse

from shredfinder import ShredTable
from shredfinder.datasets import make_field
from shredfinder.hosts import (
    associate_shreds,
    join_hosts,
    read_hosts,
    shreds_by_rule,
)
from shredfinder.plotting import plot_field

field = make_field(random_state=5)
table = ShredTable(field.sources["objID", "ra", "dec", "r", "radius", "type"])
table.add_p_cnn(cutouts=field.cutouts(), progress=False)

# %%
# A catalogue of hosts needs positions and distances, or redshifts; for ellipses also the
# Petrosian radius, axis ratio and position angle. Use `~shredfinder.hosts.read_nsa` for the
# NASA-Sloan Atlas. Here, the hosts are the large galaxies of the simulation, placed at 30
# Mpc.

large = table[table["type"] == "host"]
hosts = read_hosts(
    ShredTable({
        "name": [f"host {i + 1}" for i in range(len(large))],
        "ra": large["ra"],
        "dec": large["dec"],
        "distance": np.full(len(large), 30.0) * u.Mpc,
        "petro_th90": 2 * large["radius"],
        "petro_ba90": np.full(len(large), 0.7),
        "petro_phi90": np.full(len(large), 45.0),
    })
)  # fmt: skip

# %%
# Candidates within 8 kpc of a host: small, since the field is small. ``host_entry`` marks
# the catalogue entries of the hosts themselves.

near = join_hosts(table, hosts, 8 * u.kpc)
print(f"{len(near)} of {len(table)} sources are near a host, {near['host_entry'].sum()} are hosts")

# %%
# Count candidates and shreds per host, with binomial intervals.

counts = associate_shreds(near[~near["host_entry"]], hosts, 8 * u.kpc).hosts
counts.round(2)
fractions = [name for name in counts.colnames if "fraction" in name]
counts["host_id", "n_candidates", "n_shreds", *fractions]

# %%
# SAGA's rule classifies every source in the ellipse of 2 × ``petro_th90`` as a shred,
# satellites in front of the disc included.

ruled = shreds_by_rule(table, hosts)
both = ruled & (table["p_cnn"] >= 0.5)
print(f"{ruled.sum()} by the rule, {np.sum(table['p_cnn'] >= 0.5)} by p_cnn, {both.sum()} by both")

# %%
# Shreds (solid yellow), galaxies (dashed red) and the ellipses of the rule.

ax = plot_field(field.image, field.wcs, table)
x, y = field.wcs.world_to_pixel_values(hosts["ra"], hosts["dec"])
for i, semi in enumerate(2 * np.asarray(hosts["petro_th90"]) / field.pixel_scale):
    # Position angles are counted from north to east: from up to left in the image.
    angle = 90 + hosts["petro_phi90"][i]
    ax.add_patch(
        Ellipse(
            (x[i], y[i]),
            2 * semi,
            1.4 * semi,
            angle=angle,
            fill=False,
            edgecolor="#5ad1ff",
        )
    )
