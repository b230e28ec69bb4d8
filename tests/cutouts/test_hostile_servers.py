"""Servers that lie: what one row's response does stays in that row."""

import gzip
import io
import tracemalloc
import warnings
import zlib
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from PIL import Image, ImageDraw, ImageFont

from shredfinder.cutouts import LegacyViewer, RetryPolicy, fetch_cutouts
from shredfinder.exceptions import UnusableServiceError
from shredfinder.imaging import as_cutouts
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
    # Python also warns of the sockets that the server leaves.
    others = [w for w in caught if not issubclass(w.category, ResourceWarning)]
    return cutouts, [str(warning.message) for warning in others]


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


def _png(width, height, n_rows=1):
    """A PNG file that claims a size, with the pixels of a few rows."""

    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return len(data).to_bytes(4, "big") + kind + data + checksum.to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"
    pixels = zlib.compress(bytes((3 * min(width, 10**6) + 1) * n_rows))
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def _jpeg(width, height):
    """A JPEG file whose header claims another size than it has."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (30, 40, 50)).save(buffer, "JPEG")
    content = bytearray(buffer.getvalue())
    start = content.index(b"\xff\xc0") + 5
    content[start : start + 4] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(content)


def _fits(compressed=False, **cards):
    """A FITS file of fluxes whose header claims another size than it has."""
    values = np.random.default_rng(1).normal(size=(3, 32, 32)).astype("f4")
    hdu = fits.PrimaryHDU(values)
    if compressed:
        hdu = fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(values, tile_shape=(1, 32, 32))])
    buffer = io.BytesIO()
    hdu.writeto(buffer)
    content = buffer.getvalue()
    for name, value in cards.items():
        start = content.index(f"{name:8}= ".encode())
        card = f"{name:8}= {value:>20}".encode().ljust(80)
        content = content[:start] + card + content[start + 80 :]
    return content


def _zip(content, times=1):
    for _ in range(times):
        content = gzip.compress(content, 9, mtime=0)
    return content


BIG = 200 * 2**20
BODIES = {
    "announced": ("jpeg", {"Content_Length": str(BIG)}, b"\xff\xd8\xff"),
    "chunked": ("jpeg", {"Content_Length": None, "Transfer_Encoding": "chunked"}, None),
    "endless": ("jpeg", {"Content_Length": None}, None),
    "gzip": ("jpeg", {"Content_Encoding": "gzip"}, _zip(bytes(BIG))),
    "gzip twice": ("jpeg", {"Content_Encoding": "gzip, gzip"}, _zip(bytes(BIG), 2)),
    "deflate": ("jpeg", {"Content_Encoding": "deflate"}, zlib.compress(bytes(BIG), 9)),
    "wide PNG": ("jpeg", {}, _png(2**31 - 1, 1)),
    "high PNG": ("jpeg", {}, _png(1, 2**31 - 1)),
    "large PNG": ("jpeg", {}, _png(60_000, 60_000)),
    "PNG of many rows": ("jpeg", {}, _png(32, 32, n_rows=2**21)),
    "large JPEG": ("jpeg", {}, _jpeg(65_500, 65_500)),
    "large FITS": ("fits", {}, _fits(NAXIS1=10**9)),
    "negative FITS": ("fits", {}, _fits(NAXIS1=-32)),
    "deep FITS": ("fits", {}, _fits(NAXIS3=10**15)),
    "compressed FITS": ("fits", {}, _fits(True, ZNAXIS1=10**5, ZNAXIS2=10**5)),
    "tiles of FITS": ("fits", {}, _fits(True, ZTILE1=10**9, ZTILE2=10**9)),
}
# What follows the image, or a tile larger than it, is not read.
HARMLESS = {"PNG of many rows": "blank", "tiles of FITS": ""}


@pytest.mark.parametrize("name", BODIES)
def test_a_response_takes_little_more_memory_than_its_image(name):
    kind, headers, body = BODIES[name]

    def respond(handler):
        if not is_bad(handler):
            return send_good(handler)
        handler.reply(200, body or b"", Content_Type=f"image/{kind}", **headers)
        part = b"10000\r\n" + bytes(0x10000) + b"\r\n" if name == "chunked" else bytes(0x10000)
        if body is None:
            for _ in range(BIG // 0x10000):
                handler.wfile.write(part)
        return None

    service = LegacyViewer(image_format=kind)
    with serve(respond) as server:
        service.base_url = f"{server.url}/viewer"
        tracemalloc.start()
        cutouts, messages = fetch(server, service=service, base_url=None)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    if name in HARMLESS:
        assert cutouts.flags.tolist() == ["", HARMLESS[name], "", ""]
    else:
        flags = ("failed", "wrong size", "corrupted", "not an image")
        assert_one_row_lost(cutouts, messages, flags)
    # The server's own buffers are counted too, but no body of 200 MB.
    assert peak < 24 * 2**20


def _draw(text_color, background, text="No image here, sorry", lines=5, size=10, top=30):
    image = Image.new("RGB", (128, 128), background)
    text, font = "\n".join([text] * lines), ImageFont.load_default(size)
    ImageDraw.Draw(image).multiline_text((2, top), text, text_color, font)
    return np.asarray(image)


def _gap(border, value=32):
    """Noise, as of the sky, with no data above and to the left of a border."""
    rng = np.random.default_rng(5)
    image = rng.normal(60, 12, (128, 128, 3)).clip(0, 255).astype(np.uint8)
    image[:border, :border] = value
    return image


NOT_SKY = {
    "grey": (_gap(0)[..., :1].repeat(3, axis=-1), "wrong size"),
    "transparent": (np.dstack([_gap(0), np.zeros((128, 128), np.uint8)]), "blank"),
    "transparent centre": (np.dstack([_gap(0), (_gap(70, 0)[..., 0] > 0) * 255]), "no coverage"),
    "grey text": (_draw((255, 255, 255), (0, 0, 0)), "wrong size"),
    "red text": (_draw((255, 0, 0), (255, 255, 255)), "no coverage"),
    "yellow text": (_draw((255, 255, 0), (10, 20, 60)), "no coverage"),
    "blue text": (_draw((255, 255, 255), (0, 0, 160), "Error 503", 2, 26, 20), "no coverage"),
    "dark text": (_draw((200, 30, 0), (32, 32, 32), "Try again later", 3, 16), "no coverage"),
    "line of text": (_draw((0, 90, 0), (250, 250, 240), lines=1, top=58), "no coverage"),
    "border": (_gap(66), "no coverage"),
    "border beyond the centre": (_gap(80), "no coverage"),
    "white border": (_gap(110, 255), "no coverage"),
    # The source is apart from the region without data.
    "gap in a corner": (_gap(45), ""),
    "noise": (_gap(0), ""),
}


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("name", NOT_SKY)
def test_what_is_not_sky_has_the_same_flag_from_a_server_and_a_file(name, suffix, tmp_path):
    image, flag = NOT_SKY[name]
    if suffix == ".jpg" and image.shape[-1] == 4:
        pytest.skip("JPEG has no transparency")
    buffer = io.BytesIO()
    Image.fromarray(image.astype(np.uint8)).save(buffer, "PNG" if suffix == ".png" else "JPEG")
    path = tmp_path / f"image{suffix}"
    path.write_bytes(buffer.getvalue())

    def respond(handler):
        handler.reply(200, buffer.getvalue(), Content_Type="image/png")

    files = as_cutouts([path], size=(128, 128), pixel_scale=0.46875, bands=("z", "r", "g"))
    assert files[:].flags.tolist() == [flag]
    with serve(respond) as server:
        cutouts, _ = fetch(server, size=128, cache=tmp_path / "cache", max_workers=1)
    assert set(cutouts.flags) == {flag}
    stored = list((tmp_path / "cache").rglob("*.[jp][pn]g"))
    assert len(stored) == (0 if flag else len(COORDS))


def test_a_text_in_place_of_an_image_is_requested_again():
    text = io.BytesIO()
    Image.fromarray(NOT_SKY["blue text"][0]).save(text, "JPEG")
    n_texts = 0

    def respond(handler):
        nonlocal n_texts
        if not is_bad(handler) or n_texts:
            return send_good(handler)
        n_texts += 1
        return handler.reply(200, text.getvalue(), Content_Type="image/jpeg")

    with serve(respond) as server:
        cutouts, messages = fetch(server, size=128)
    assert n_texts == 1
    assert cutouts.good.all()
    assert not messages


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 3), (1, 40), (7, 7)])
def test_tiny_files_have_a_flag(shape, tmp_path):
    image = np.random.default_rng(2).integers(0, 255, (*shape, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "image.png")
    files = as_cutouts([tmp_path / "image.png"], size=shape, pixel_scale=1, bands="zrg")
    assert len(files[:].flags) == 1
