"""Tables over SAMP: real hubs, of astropy and of pyvo, and a real receiver, on loopback."""

import gc
import importlib
import time
import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

from shredfinder.exceptions import ShredfinderWarning
from shredfinder.pipeline import send_samp


@pytest.fixture(autouse=True)
def tidy():
    """Close the sockets of hubs and clients here, not during another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(params=["astropy.samp", "pyvo.samp"])
def samp(request):
    """A SAMP module; astropy's is deprecated in favour of pyvo's, and warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module(request.param)
    if not hasattr(module, "SAMPHubServer"):
        pytest.skip(f"{request.param} has no hub")
    with module.conf.set_temp("use_internet", False):
        yield module


@pytest.fixture
def hub(samp):
    running = samp.SAMPHubServer(web_profile=False, mode="multiple", addr="127.0.0.1")
    running.start()
    yield running
    running.stop()


class Receiver:
    """A stand-in for TOPCAT: load tables, and record positions."""

    def __init__(self, samp, hub, *, works=True):
        self.tables, self.places = [], []
        self.works = works
        self.client = samp.SAMPIntegratedClient(name="topcat", addr="127.0.0.1")
        self.client.connect(hub=hub)
        self.client.bind_receive_call("table.load.votable", self.load)
        self.client.bind_receive_call("coord.pointAt.sky", self.point)

    def load(self, private_key, sender_id, msg_id, mtype, params, extra):
        # The hub loses replies that arrive before it has noted that somebody waits for them.
        time.sleep(0.3)
        if not self.works:
            response = {"samp.status": "samp.error", "samp.result": {},
                      "samp.error": {"samp.errortxt": "out of memory"}}  # fmt: skip
            return self.client.reply(msg_id, response)
        table = Table.read(params["url"].removeprefix("file://"), format="votable")
        self.tables.append((params["name"], table))
        return self.client.ereply(msg_id, "samp.ok", result={})

    def point(self, private_key, sender_id, msg_id, mtype, params, extra):
        self.places.append((float(params["ra"]), float(params["dec"])))
        self.client.ereply(msg_id, "samp.ok", result={})


@pytest.fixture
def table():
    made = Table({"objid": [11, 12], "ra": [143.0, 143.1] * u.deg, "dec": [21.5, 21.6] * u.deg})
    made["p_cnn"] = np.array([0.1, np.nan], dtype="f4")
    made["ra"].info.meta = {"ucd": "pos.eq.ra;meta.main"}
    return made


def test_a_receiver_gets_table_and_position(samp, hub, table):
    receiver = Receiver(samp, hub)
    try:
        center = SkyCoord(143.05, 21.55, unit="deg")
        assert send_samp(table, center, name="NGC 2903", hub=hub) == ["topcat"]
    finally:
        receiver.client.disconnect()
    [(name, loaded)] = receiver.tables
    assert name == "NGC 2903"
    assert loaded["objid"].tolist() == [11, 12]
    assert loaded["ra"].unit == u.deg
    assert receiver.places == [(143.05, 21.55)]


def test_failures_are_warnings(samp, hub, table):
    with pytest.warns(ShredfinderWarning, match="no program"):
        assert send_samp(table, hub=hub) == []
    receiver = Receiver(samp, hub, works=False)
    try:
        with pytest.warns(ShredfinderWarning) as caught:
            assert send_samp(table, hub=hub) == []
    finally:
        receiver.client.disconnect()
    assert "topcat reports: out of memory" in [str(warning.message) for warning in caught]


def test_without_a_hub(table, tmp_path, monkeypatch):
    monkeypatch.setenv("SAMP_HUB", f"std-lockurl:{(tmp_path / 'none').as_uri()}")
    with pytest.raises(RuntimeError, match="start TOPCAT or Aladin"):
        send_samp(table)
