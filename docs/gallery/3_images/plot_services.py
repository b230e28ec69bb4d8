"""
Fetch cutouts from each service
===============================

`~shredfinder.cutouts.fetch_cutouts` fetches cutouts by position from any of the services,
and returns a `~shredfinder.Cutouts` object. Images are cached, so a second call is fast. On
this page, the requests were sent to a local server, which returns one simulated field for
all services. If you run the script, it queries the real services.
"""

import numpy as np
from astropy.coordinates import SkyCoord
from matplotlib import pyplot as plt

from shredfinder.catalogs import resolve_name
from shredfinder.cutouts import PanSTARRS, SDSSFrames, VOImages, fetch_cutouts

galaxy = resolve_name("NGC 2903")
center = SkyCoord([galaxy.ra], [galaxy.dec])

# %%
# Colour images. The embedded model accepts those of the Legacy Surveys; other colours need
# ``allow_other_colors=True``, or a model of your own.

colors = {
    "legacy": fetch_cutouts(center, "legacy"),
    "ps1": fetch_cutouts(center, "ps1"),
    "sdss": fetch_cutouts(center, "sdss"),
    "hips": fetch_cutouts(center, "hips", layer="CDS/P/DESI-Legacy-Surveys/DR10/color"),
}
for name, cutouts in colors.items():
    print(f"{name:8s} {cutouts!r}")

# %%
# Fluxes in several bands, from FITS images: for training, photometry, or your own colours.

fluxes = {
    "ps1": fetch_cutouts(center, PanSTARRS(image_format="fits")),
    "sdss-frames": fetch_cutouts(center, SDSSFrames(bands="gri")),
    "sia": fetch_cutouts(center, VOImages(color_mapping="flux", bands="gr")),
}
for name, cutouts in fluxes.items():
    print(f"{name:12s} {cutouts!r}")

# %%
# Show the colour images above, and one band of the fluxes below.

fig, axes = plt.subplots(2, 4, figsize=(7.2, 4.1))
for ax, (name, cutouts) in zip(axes[0], colors.items(), strict=True):
    ax.imshow(cutouts.images[0])
    ax.set_title(name, fontsize=11)
for ax, (name, cutouts) in zip(axes[1], fluxes.items(), strict=False):
    image = cutouts.images[0, ..., 1]
    vmin, vmax = np.percentile(image, [1, 99])
    ax.imshow(image, cmap="gray", vmin=vmin, vmax=vmax)
    ax.set_title(f"{name}, {cutouts.bands[1]}", fontsize=11)
for ax in axes.flat:
    ax.set_axis_off()
