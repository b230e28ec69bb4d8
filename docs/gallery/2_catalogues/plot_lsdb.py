"""
Score a HATS catalogue with LSDB
================================

Whole surveys are stored as HATS catalogues, partitioned by position, which LSDB processes
with Dask. `shredfinder.lsdb.add_p_cnn` scores such a catalogue lazily, partition by
partition, on a laptop or a cluster. The catalogue is simulated. This script needs the extra
``lsdb``.
"""

import tempfile

import lsdb
import numpy as np
from matplotlib import pyplot as plt

from shredfinder.datasets import make_field
from shredfinder.lsdb import add_p_cnn

# %%
# Sources at random positions on the sky, and a folder with a cutout of each. For a catalogue on
# disk, use ``lsdb.open_catalog``. In place of a folder, ``service=`` cuts images from local bricks,
# or fetches them.

field = make_field(640, 3, random_state=3)
frame = field.sources["objID", "r"].to_pandas()
rng = np.random.default_rng(1)
frame["ra"] = rng.uniform(0, 360, len(frame))
frame["dec"] = np.degrees(np.arcsin(rng.uniform(-1, 1, len(frame))))
folder = tempfile.TemporaryDirectory()
field.cutouts().write(folder.name, names=[f"{i}.png" for i in frame["objID"]])
catalog = lsdb.from_dataframe(frame, ra_column="ra", dec_column="dec", partition_rows=15)
print(f"{len(frame)} sources in {catalog.npartitions} partitions")

# %%
# Add the scores. Nothing is computed yet.

scored = add_p_cnn(catalog, cutouts=folder.name, pattern="{objID}.png")
print(scored.columns.tolist())

# %%
# ``compute`` returns a data frame. For results larger than memory, write a catalogue:
# ``scored.write_catalog("scored")``.

result = scored.compute(progress_bar=False)
print(result[["objID", "r", "p_cnn"]].head().to_string(index=False))

# %%
# The sources on the sky, coloured by score.

ra, dec, p_cnn = (result[name].to_numpy(float) for name in ("ra", "dec", "p_cnn"))
fig, ax = plt.subplots(figsize=(6.4, 3.6), subplot_kw={"projection": "mollweide"})
points = ax.scatter(np.radians((ra + 180) % 360 - 180), np.radians(dec), 40, p_cnn, cmap="cividis")
fig.colorbar(points, label="p_cnn", shrink=0.7)
ax.grid(alpha=0.4)
folder.cleanup()
