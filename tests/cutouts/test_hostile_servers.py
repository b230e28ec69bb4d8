"""Servers that lie: what one row's response does stays in that row."""

import warnings
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from shredfinder.cutouts import RetryPolicy, fetch_cutouts
from shredfinder.exceptions import UnusableServiceError
from tests.cutouts.loopback import services
from tests.cutouts.loopback.hostile import serve

QUICK = RetryPolicy(attempts=2, pause=0.001, max_pause=0.002)
COORDS = SkyCoord([150.0, 151.0, 152.0, 153.0], [2.0, 3.0, 4.0, 5.0], unit="deg")
# The row whose responses are bad.
BAD = 1


def is_bad(handler):
    params = dict(parse_qsl(urlsplit(handler.path).query))
    return abs(float(params["ra"]) - COORDS[BAD].ra.deg) < 0.01


def send_good(handler):
    parts = urlsplit(handler.path)
    params = dict(parse_qsl(parts.query))
    status, body, kind = services.respond(parts.path, params, None, "")
    handler.reply(status, body, Content_Type=kind)


def fetch(server, **options):
    defaults = {
        "service": "legacy", "base_url": f"{server.url}/viewer", "cache": False, "rate": None,
        "progress": False, "size": 32, "retry": QUICK, "timeout": 5, "group": False,
    }  # fmt: skip
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cutouts = fetch_cutouts(COORDS, **(defaults | options))
    return cutouts, [str(warning.message) for warning in caught]


def assert_one_row_lost(cutouts, messages, flags=("failed",)):
    good = np.arange(len(COORDS)) != BAD
    assert cutouts.good.tolist() == good.tolist()
    assert cutouts.flags[BAD] in flags
    assert len(messages) == 1
    assert "\n" not in messages[0]


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1/x",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "mailto:a@b",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/",
        "http://127.0.0.1:-1/",
        "http://[::1",
        "http://[zz]/",
        "http:///nohost",
        "http://",
        "http://" + "a" * 300 + "/",
        "http://.x../",
        "http://a b/",
        "http://\u2603.invalid/",
        "https://127.0.0.1:1/",
        "http://127.0.0.1:1/",
        "http://nowhere.invalid/",
        "http://user:pass@nowhere.invalid:1/",
        "//[",
        "?",
        "/\x7f\x01",
        "http://%zz/",
        "x" * 5000,
    ],
)
def test_redirects_to_nowhere_stay_in_their_row(location):
    def respond(handler):
        if "ra=" in handler.path and not is_bad(handler):
            return send_good(handler)
        encoded = location.encode("utf-8").decode("latin-1")
        return handler.reply(302, b"", Location=encoded)

    with serve(respond) as server:
        # Rows of malformed addresses must not depend on the environment's proxies.
        assert_one_row_lost(*fetch(server))


def test_redirects_in_a_circle_stay_in_their_row():
    def respond(handler):
        if not is_bad(handler):
            return send_good(handler)
        return handler.reply(307, b"", Location=handler.path)

    with serve(respond) as server:
        assert_one_row_lost(*fetch(server))


@pytest.mark.parametrize("status", [200, 204, 400, 404, 410, 503])
def test_an_error_page_of_another_host_is_not_a_gap_of_the_sky(status, tmp_path):
    def respond(handler):
        if not is_bad(handler):
            return send_good(handler)
        return handler.reply(302, b"", Location=other.url)

    def show_page(handler):
        handler.reply(status, b"<html>We are moving", Content_Type="text/html")

    with serve(respond) as server, serve(show_page) as other:
        cutouts, messages = fetch(server, cache=tmp_path)
        assert_one_row_lost(cutouts, messages, ("failed", "not an image"))
        # Nothing is remembered of it.
        assert not list(tmp_path.rglob("*.once"))


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:99999", "htp://x", "http://[::1", "http://"]
)
def test_a_base_url_that_is_not_valid_ends_the_run(base_url):
    # Some are refused when the service is made, the others by the first request.
    with pytest.raises((UnusableServiceError, ValueError), match="not a valid address"):
        fetch_cutouts(COORDS, "legacy", base_url=base_url, cache=False, retry=QUICK)


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"\x00\xff garbage",
        b"HTTP/1.1 999 ?\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nxx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nxx",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip, gzip, gzip, gzip, gzip\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Type: \xff\xfe\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 301 Moved\r\nLocation: http://\xff\xfe/\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: \x01=\x02\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nRetry-After: -1\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nRetry-After: tomorrow\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 401 No\r\nWWW-Authenticate: \xff\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=range(22),
)
def test_broken_responses_stay_in_their_row(response):
    def respond(handler):
        if not is_bad(handler):
            return send_good(handler)
        return handler.wfile.write(response)

    with serve(respond) as server:
        cutouts, messages = fetch(server, timeout=1)
        assert_one_row_lost(cutouts, messages, ("failed", "corrupted", "not an image"))
