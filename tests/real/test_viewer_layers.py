"""Layers of the viewer: only those in the model's g, r and z colours are scored as such."""

import pytest
from astropy.table import Table

from shredfinder import add_p_cnn
from shredfinder.cutouts import CutoutFetcher, LegacyViewer
from shredfinder.exceptions import CutoutMismatchError

GRZ = [
    "ls-dr8", "ls-dr9", "ls-dr9-north", "ls-dr9-south", "ls-dr10-grz", "ls-dr10-south-grz",
    "ls-dr11", "ls-dr11-north", "ls-dr11-south", "decals-dr5", "decals-dr7", "mzls+bass-dr6",
]  # fmt: skip
OTHERS = [
    "ls-dr10", "ls-dr10-south", "ls-dr10-gri", "ls-dr10-griz", "ls-dr10-model", "ls-dr9-model",
    "ls-dr9-resid", "sdss", "ps1", "hsc-dr2", "des-dr1", "galex", "unwise-neo7", "mine",
]  # fmt: skip
TABLE = Table({"ra": [184.7], "dec": [47.3]})


@pytest.mark.parametrize("layer", GRZ)
def test_layers_in_the_models_colours(layer):
    viewer = LegacyViewer(layer=layer)
    assert (viewer.color_mapping, viewer.bands) == ("legacy-grz", ("z", "r", "g"))


@pytest.mark.parametrize("layer", OTHERS)
def test_other_layers(layer, server, monkeypatch):
    monkeypatch.setattr("tests.cutouts.loopback.services._VIEWER_LAYERS", (layer,))
    options = {"base_url": server.viewer, "cache": False, "rate": None}
    fetcher = CutoutFetcher("legacy", layer=layer, **options)
    with pytest.raises(CutoutMismatchError, match="allow_other_colors=True"):
        add_p_cnn(TABLE.copy(), service=fetcher, progress=False)
    scored = TABLE.copy()
    add_p_cnn(scored, "robust", service=fetcher, allow_other_colors=True, progress=False)
    assert scored["p_cnn_flag"].tolist() == ["other colors"]
    assert 0 <= scored["p_cnn"][0] <= 1
