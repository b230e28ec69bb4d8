"""
Make cutouts from your own bricks
=================================

If you have the survey's images on disk, you do not need a service.
`~shredfinder.cutouts.LocalImages` finds the images of each band in a folder and cuts,
resamples and colours them as the survey's viewer does. Here the folder holds simulated
images.
"""

import tempfile
from pathlib import Path

import numpy as np
from astropy.io import fits

from shredfinder import ShredTable
from shredfinder.cutouts import LocalImages, fetch_cutouts
from shredfinder.datasets import make_field
from shredfinder.plotting import plot_gallery

# %%
# Write a brick: one FITS file per band, named like those of the Legacy Surveys. For real
# bricks, use the folder of the data release instead, such as ``"dr9/south/coadd"``.

field = make_field(700, 3, random_state=3)
folder = tempfile.TemporaryDirectory()
for band, image in zip(field.bands, field.fluxes, strict=True):
    path = Path(folder.name) / f"legacysurvey-1500p022-image-{band}.fits"
    fits.writeto(path, image, field.wcs.to_header())
print(*sorted(path.name for path in Path(folder.name).iterdir()), sep="\n")

# %%
# Make the cutouts. A row outside all bricks is kept, with the reason in its flag.
# ``flux_scale=1`` states that the values are per native pixel of the survey, although the
# pixels of the simulation are larger. Real bricks do not need it.

table = ShredTable(field.sources["objID", "ra", "dec", "r"])
table.add_row((0, 10.0, 2.0, 20.0))
bricks = LocalImages(folder.name, flux_scale=1)
cutouts = fetch_cutouts(table, service=bricks)
cutouts

# %%
# Score them. On the command line, the same is ``shredfinder classify candidates.fits
# --service local --base-url FOLDER -o scored.fits``.

table.add_p_cnn(cutouts=cutouts, progress=False)
print(table["p_cnn_flag"][-1])

# %%
# The cutouts of the brightest sources, with ``p_cnn``.

brightest = np.argsort(table["r"])[:8]
figure = plot_gallery(cutouts[brightest], scores=table["p_cnn"][brightest], n_columns=4)

# %%
# Close the files and remove the folder.

bricks.close()
folder.cleanup()
