import http.client
import io
import json
import os
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from shredfinder.cli import main
from shredfinder.labelling import (
    LabellingPage,
    LabellingSession,
    LabelStore,
    blind_order,
    read_labels,
)


@pytest.fixture
def folder(tmp_path):
    """Four cutouts of different colours, their table, and a secret file."""
    for row in range(4):
        Image.new("RGB", (16, 16), (50 * row, 0, 0)).save(tmp_path / f"{row + 10}.png")
    (tmp_path / "secret.txt").write_text("secret")
    Table({"objID": [10, 11, 12, 13, 14], "label": ["shred"] * 5}).write(tmp_path / "pool.ecsv")
    return tmp_path


@pytest.fixture
def session(folder):
    store = LabelStore(folder / "labels.ecsv")
    return LabellingSession([10, 11, 12, 13, 14], store, "ann", order=[2, 0, 4, 1, 3])


@pytest.fixture
def page(folder, session):
    with LabellingPage(session, [folder / f"{row + 10}.png" for row in range(5)]) as page:
        yield page


def ask(page, path="", method="GET", body=None, **headers):
    """Send a request, with the page's token unless the path is absolute."""
    url = urlsplit(page.url)
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    if body is not None:
        headers.setdefault("Content_Type", "application/json")
        body = json.dumps(body) if isinstance(body, dict) else body
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    path = path if path.startswith("/") else url.path + path
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def test_the_page_shows_cutouts_and_saves_labels(page, session):
    status, body, headers = ask(page)
    assert status == 200
    assert b"<title>" in body
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    state = json.loads(ask(page, "state")[1])
    assert state == {
        "row": 2, "next": 0, "done": 0, "total": 5, "labeller": "ann", "can_undo": False
    }  # fmt: skip
    status, body, _ = ask(page, "cutout/2")
    assert np.asarray(Image.open(io.BytesIO(body)))[0, 0].tolist() == [100, 0, 0]
    given = {"row": 2, "label": "shred", "confidence": 2}
    status, body, _ = ask(page, "label", "POST", given)
    assert status == 200
    assert json.loads(body)["row"] == 0
    assert read_labels(session.store.path)["objID"].tolist() == [12]
    assert json.loads(ask(page, "skip", "POST", {"row": 0})[1])["row"] == 4
    assert json.loads(ask(page, "undo", "POST", {"row": 4})[1])["row"] == 0
    assert json.loads(ask(page, "undo", "POST", {"row": 0})[1])["row"] == 2
    assert len(read_labels(session.store.path)) == 0


def test_a_label_for_another_source_is_refused(page, session):
    given = {"row": 2, "label": "shred", "confidence": 2}
    assert ask(page, "label", "POST", given)[0] == 200
    status, body, _ = ask(page, "label", "POST", given)
    assert (status, json.loads(body)["row"]) == (409, 0)
    assert len(session.store.labels) == 1


def test_the_browser_receives_nothing_that_identifies_a_source(page):
    for path in ("", "state", "cutout/0"):
        _, body, headers = ask(page, path)
        for secret in (b"objID", b"10.png", os.fsencode(os.getcwd())):
            assert secret not in body + str(headers).encode()


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "shredfinder.example"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost"},
    ],
)
def test_refuses_other_origins(page, session, headers):
    given = {"row": 2, "label": "shred", "confidence": 2}
    for request in (("",), ("state",), ("cutout/0",), ("label", "POST", given)):
        status, body, _ = ask(page, *request, **headers)
        assert (status, body) == (403, b"requests from other sites are refused")
    assert session.n_done == 0


def test_its_own_origin_is_accepted(page):
    port = urlsplit(page.url).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        given = {"row": json.loads(ask(page, "state")[1])["row"], "label": "galaxy"}
        given["confidence"] = 3
        assert ask(page, "label", "POST", given, Host=host, Origin=f"http://{host}")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/", "//", "/state", "/cutout/0", "/wrong/state", "/é/state", "/favicon.ico",
        "/../secret.txt", "state/", "cutout", "cutout/", "cutout/5", "cutout/-1", "cutout/²",
        "cutout/0/0", "cutout/../secret.txt", "cutout/%2e%2e/secret.txt", "secret.txt",
        "cutout/10.png", "label", "cutout/0?x=/../secret.txt",
    ],
)  # fmt: skip
def test_nothing_else_is_served(page, path):
    if not path.isascii():
        path = path.encode().decode("latin-1")
    path = path if path.startswith("/") else urlsplit(page.url).path + path
    known = path.endswith("state/")
    status, body, _ = ask(page, path) if path.isascii() else ask_raw(page, path)
    assert status == (200 if known else 404)
    assert b"secret" not in body


def ask_raw(page, path):
    import socket

    url = urlsplit(page.url)
    with socket.create_connection((url.hostname, url.port), timeout=10) as connection:
        request = f"GET {path} HTTP/1.0\r\nHost: {url.netloc}\r\n\r\n"
        connection.sendall(request.encode("latin-1"))
        response = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, body = response.partition(b"\r\n\r\n")
    return int(head.split()[1]), body, head


def test_a_link_out_of_the_folder_is_an_image_or_nothing(folder, session):
    (folder / "10.png").unlink()
    (folder / "10.png").symlink_to(folder / "secret.txt")
    with LabellingPage(session, [folder / f"{row + 10}.png" for row in range(5)]) as page:
        status, body, _ = ask(page, "cutout/0")
        assert (status, body) == (404, b"not an image")
        # A row without an image can still be labelled.
        assert ask(page, "cutout/4")[:2] == (404, b"missing")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"row": 2, "label": "star", "confidence": 2}, {}, 400),
        ({"row": 2, "label": "shred", "confidence": "2"}, {}, 400),
        ({"row": 2, "label": ["shred"], "confidence": 2}, {}, 400),
        ({"row": 2, "label": "shred", "confidence": [2]}, {}, 400),
        ({"label": "shred", "confidence": 2}, {}, 409),
        ("[1]", {}, 400),
        ("{", {}, 400),
        (b"\xff", {}, 400),
        ("{}", {"Content_Type": "text/plain"}, 415),
        ("{}", {"Content_Type": "application/x-www-form-urlencoded"}, 415),
        (" " * 2000, {}, 413),
        ("{}", {"Content_Length": "-1"}, 413),
    ],
)
def test_invalid_labels_are_refused(page, session, body, headers, status):
    assert ask(page, "label", "POST", body, **headers)[0] == status
    assert (session.n_done, session.current) == (0, 2)


def test_a_failure_to_save_is_reported(page, session, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr(Table, "write", fail)
    status, body, _ = ask(page, "label", "POST", {"row": 2, "label": "shred", "confidence": 2})
    assert (status, body) == (500, b"not saved: no space left")
    assert session.current == 2


def test_listens_on_loopback_only(page):
    assert page._server.server_address[0] == "127.0.0.1"


def test_wrong_paths_and_a_busy_port_are_refused(folder, session, page):
    with pytest.raises(ValueError, match="one path for each of 5 sources: got 1"):
        LabellingPage(session, ["10.png"])
    with pytest.raises(OSError, match="cannot listen on port"):
        LabellingPage(session, [None] * 5, port=urlsplit(page.url).port)


def start(folder, *options):
    # A shell starts background processes with the signal ignored.
    command = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from shredfinder.cli import main; sys.exit(main())"
    )
    where = [str(folder / "pool.ecsv"), "--cutouts", str(folder)]
    return subprocess.Popen(
        [sys.executable, "-c", command, "label", *where, "-o", str(folder / "a.ecsv"), *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_the_command_serves_until_interrupted(folder):
    for n_done in (0, 1):
        with start(folder, "--labeller", "ann") as process:
            page = type("Page", (), {"url": process.stdout.readline().strip()})
            state = json.loads(ask(page, "state")[1])
            assert (state["done"], state["total"], state["labeller"]) == (n_done, 5, "ann")
            given = {"row": state["row"], "label": "galaxy", "confidence": 1}
            assert ask(page, "label", "POST", given)[0] == 200
            process.send_signal(signal.SIGINT)
            try:
                assert process.wait(timeout=60) == 130
            finally:
                process.kill()
            assert f"{n_done + 1} of 5 sources are labelled in" in process.stderr.read()
    assert len(read_labels(folder / "a.ecsv")) == 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], blind_order(5, "ann").tolist()),
        (["--random-state", "7"], blind_order(5, "ann", random_state=7).tolist()),
        (["--in-order"], [0, 1, 2, 3, 4]),
    ],
)
def test_the_command_orders_and_opens(folder, monkeypatch, options, expected):
    opened, seen = [], []
    monkeypatch.setattr("webbrowser.open", opened.append)

    def serve(page):
        with page:
            for _ in range(5):
                row = json.loads(ask(page, "state")[1])["row"]
                seen.append(row)
                given = {"row": row, "label": "galaxy", "confidence": 1}
                ask(page, "label", "POST", given)

    monkeypatch.setattr(LabellingPage, "serve", serve)
    where = [str(folder / "pool.ecsv"), "--cutouts", str(folder), "-o", str(folder / "a.ecsv")]
    assert main(["label", *where, "--labeller", "ann", "--open", *options]) == 0
    assert seen == expected
    assert opened[0].startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--identifier", "name"], "no column 'name'"),
        (["--labeller", " "], "needs a name"),
        (["--pattern", "{name}.png"], "name"),
    ],
)
def test_the_command_explains_wrong_arguments(folder, options, message, capsys):
    where = [str(folder / "pool.ecsv"), "--cutouts", str(folder), "-o", str(folder / "a.ecsv")]
    assert main(["label", *where, *options]) == 1
    assert message in capsys.readouterr().err


def test_the_command_does_not_touch_other_tables(folder, capsys):
    before = (folder / "pool.ecsv").read_bytes()
    where = [str(folder / "pool.ecsv"), "--cutouts", str(folder)]
    assert main(["label", *where, "-o", str(folder / "pool.ecsv")]) == 1
    assert "is not a file of labels" in capsys.readouterr().err
    assert (folder / "pool.ecsv").read_bytes() == before


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_the_command_refuses_a_wrong_port(port, capsys):
    with pytest.raises(SystemExit):
        main(["label", "pool.ecsv", "--cutouts", ".", "-o", "a.ecsv", "--port", port])
    assert "0 to 65535" in capsys.readouterr().err
