"""SkyServer responds to a query of more than about 2,048 characters with a web page."""

import pytest
import requests

from shredfinder.catalogs.skyserver import SkyServer
from shredfinder.exceptions import ServiceError


@pytest.fixture
def sent(monkeypatch):
    """Requests that were sent."""
    calls = []

    def send(self, request, **kwargs):
        calls.append(request)
        raise requests.ConnectionError("sent")

    monkeypatch.setattr(requests.Session, "send", send)
    return calls


@pytest.mark.parametrize("column", ["p.petroMagErr_r", "p.a, p.b"])
def test_a_long_query_is_refused_before_it_is_sent(sent, column):
    columns = ", ".join([column] * (2100 // len(column)))
    service = SkyServer("http://127.0.0.1:1", timeout=5.0)
    with pytest.raises(ValueError, match="SkyServer accepts about 2048: request fewer columns"):
        service.ask(f"SELECT {columns} FROM PhotoPrimary AS p", max_rows=10)
    assert not sent


def test_a_query_of_the_usual_length_is_sent(sent):
    service = SkyServer("http://127.0.0.1:1", timeout=5.0)
    with pytest.raises(ServiceError, match="failed to run the query"):
        service.ask("SELECT " + "p.objID, " * 100 + "p.ra FROM PhotoPrimary AS p", max_rows=10)
    assert sent
