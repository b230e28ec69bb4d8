import numpy as np
import pytest
from astropy.table import Table


@pytest.fixture
def catalogue(image_files):
    """Path of a catalogue with usable and unusable cutouts."""
    names = ["good", "blank", "small", "truncated", "page", "absent", "bomb"]
    table = Table({"objID": names, "ra": np.arange(7.0), "dec": np.zeros(7)})
    path = image_files / "catalogue.ecsv"
    table.write(path)
    return path
