"""The whole pipeline recovers the galaxies of a simulated sky."""

import astropy.units as u
import pytest
from astropy.config import set_temp_cache

from shredfinder.cutouts import CutoutFetcher
from shredfinder.hosts import read_hosts
from shredfinder.pipeline import find_satellites
from tests.pipeline.closure import judge
from tests.pipeline.world import make_sky, running_services

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    sky = make_sky(4, size=1024, n_hosts=9, seed=20)
    folder = tmp_path_factory.mktemp("closure")
    (folder / "astropy").mkdir()
    with (
        running_services(sky, folder) as services,
        services.configured(),
        set_temp_cache(folder / "astropy"),
    ):
        search = find_satellites(
            "NGC 2903",
            radius=0.35 * u.deg,
            service=CutoutFetcher(cache=False, rate=None),
            query={"cache": False},
            pictures=False,
            progress=False,
        )
        return judge(search, sky, read_hosts(services.images.nsa)), search


def test_purity_rises_and_completeness_stays(found):
    table, _ = found
    print(table)
    without, cleaned = table
    assert without["wanted"] > 100
    # The cuts leave the shreds in the table; p_cnn removes most of them.
    assert without["shreds"] > 15
    assert cleaned["shreds"] < 0.5 * without["shreds"]
    assert cleaned["purity"] > without["purity"] + 0.05
    assert cleaned["purity"] > 0.9
    assert without["completeness"] > 0.8
    assert cleaned["completeness"] > without["completeness"] - 0.12
    # No star passes the cuts in surface brightness and type.
    assert without["stars"] <= 3


def test_all_fields_took_part(found):
    _, search = found
    assert len(search.hosts) > 25
    assert search.reasons == {}
