"""
From a host to its satellites
=============================

One call queries a survey's catalogue around a host, applies the cuts and matches the
candidates to hosts. It then fetches and scores their cutouts, and returns a clean table. On
this page, all queries were sent to local servers, which simulate the sky around NGC 2903.
If you run the script, it queries the real services.
"""

from astropy import units as u

from shredfinder.pipeline import find_satellites
from shredfinder.plotting import plot_field_view, plot_shred_fractions

search = find_satellites("NGC 2903", "legacy-dr9", field_width=6 * u.arcmin, progress=False)
print(search.summary())

# %%
# The clean table has the candidates with ``p_cnn`` below 0.5, without the hosts themselves.

satellites = search.satellites["ra", "dec", "r", "projected_separation", "p_cnn"]
satellites.sort("r")
satellites.round({"ra": 5, "dec": 5, "r": 2, "projected_separation": 1})
satellites[:8]

# %%
# All sources of the catalogue, and those that pass the cuts in two surveys: shreds in solid
# yellow, galaxies in dashed red. ``search.write_report("report.html")`` writes this figure,
# the tables and the settings to one file.

figure = plot_field_view(search.view, panel_size=3.2)

# %%
# The shred fraction by separation from the host, with binomial intervals.

ax = plot_shred_fractions(search.fractions_by_separation(), label="projected separation (kpc)")
