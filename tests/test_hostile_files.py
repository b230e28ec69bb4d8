"""Files that lie: tables and folders that name other files, and models that never end."""

import contextlib
import gzip
import http.client
import io
import json
import socket
import time
import zipfile
from urllib.parse import urlsplit

import numpy as np
import pytest
from astropy.table import Table

from shredfinder import Cutouts, ShredQTable, ShredTable
from shredfinder.exceptions import ModelFileError
from shredfinder.hosts import read_hosts
from shredfinder.labelling import LabellingPage, LabellingSession, LabelStore, page
from shredfinder.models import TrainedModel
from shredfinder.models.archive import EMBEDDED_MODEL
from shredfinder.models.onnx_graph import check_graph
from shredfinder.table import read_catalogue

STREAM = '<{0}STREAM {1}="file://{2}" encoding="{3}"/>'
VOTABLE = (
    '<?xml version="1.0" encoding="{4}"?>{5}<{0}VOTABLE version="1.3" {6}><{0}RESOURCE><{0}TABLE>'
    '<{0}FIELD name="ra" datatype="double"/><{0}FIELD name="dec" datatype="double"/>'
    '<{0}FIELD name="z" datatype="double"/>'
    "<{0}DATA><{0}{1}>{2}{3}</{0}{1}></{0}DATA></{0}TABLE></{0}RESOURCE></{0}VOTABLE>"
)
NAMESPACE = 'xmlns{0}="http://www.ivoa.net/xml/VOTable/v1.3"'


def make_votable(secret, *, prefix="", kind="BINARY", charset="utf-8", href="href", head=""):
    stream = STREAM.format(prefix, href, secret, "none")
    namespace = NAMESPACE.format(f":{prefix[:-1]}" if prefix else "")
    text = VOTABLE.format(prefix, kind, stream, "", charset, head, namespace)
    return text.encode(charset)


VARIANTS = {
    "binary": {},
    "binary2": {"kind": "BINARY2"},
    "fits": {"kind": "FITS"},
    "prefix": {"prefix": "v:"},
    "utf-16": {"charset": "utf-16"},
    "latin-1": {"charset": "iso-8859-1"},
    "entity": {"head": '<!DOCTYPE VOTABLE [<!ENTITY e "x">]>'},
}


@pytest.mark.parametrize("suffix", [".vot", ".xml", ".vot.gz"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_votable_reads_no_other_file(tmp_path, variant, suffix):
    secret, path = tmp_path / "secret", tmp_path / f"table{suffix}"
    secret.write_bytes(np.arange(30, dtype=">f8").tobytes())
    content = make_votable(str(secret), **VARIANTS[variant])
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    for read in (
        read_catalogue,
        read_hosts,
        lambda path: read_hosts(path, format="votable"),
        lambda path: ShredTable.read(path, format="votable"),
        lambda path: ShredQTable.read(str(path), format="votable"),
        lambda path: ShredTable.read(io.BytesIO(content), format="votable"),
    ):
        with pytest.raises(ValueError, match="STREAM with href"):
            read(path)


@pytest.mark.parametrize("entity", ['SYSTEM "file:///etc/passwd"', '"x"'])
def test_entities_of_a_votable_bring_no_file(tmp_path, entity):
    path = tmp_path / "table.vot"
    Table({"ra": [1.0], "name": ["NAME"]}).write(path, format="votable")
    text = path.read_text().replace("NAME", "&e;")
    end = text.index("?>") + 2
    path.write_text(f"{text[:end]}<!DOCTYPE VOTABLE [<!ENTITY e {entity}>]>{text[end:]}")
    with contextlib.suppress(ValueError):
        assert "root" not in str(ShredTable.read(path, format="votable"))


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../other/a.png", "x/../../other/a.png", "link.png"]
)
def test_a_folder_of_cutouts_names_no_file_elsewhere(tmp_path, name):
    images = np.random.default_rng(0).integers(0, 255, (1, 32, 32, 3), dtype=np.uint8)
    for folder in ("mine", "other"):
        Cutouts.of_survey("legacy-dr9", images).write(tmp_path / folder, names=["a.png"])
    (tmp_path / "mine" / "link.png").symlink_to(tmp_path / "other" / "a.png")
    index = tmp_path / "mine" / "cutouts.ecsv"
    index.write_text(index.read_text().replace("a.png", name))
    with pytest.raises(ValueError, match="not a file within its folder"):
        Cutouts.read(tmp_path / "mine")


def _field(number, value):
    """A field of a message in the encoding of protocol buffers."""

    def integer(n):
        return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + integer(n >> 7)

    if isinstance(value, int):
        return integer(number << 3) + integer(value)
    return integer(number << 3 | 2) + integer(len(value)) + value


@pytest.mark.parametrize(
    "node",
    [
        _field(4, b"Loop"),
        _field(4, b"If"),
        _field(4, b"Scan"),
        _field(4, b"Relu") + _field(7, b"com.microsoft"),
        _field(4, b"Relu") + _field(5, _field(6, b"")),
        _field(4, b"Tile"),
    ],
)
def test_models_with_other_operators_are_refused(tmp_path, node):
    with zipfile.ZipFile(io.BytesIO(EMBEDDED_MODEL.read_bytes())) as archive:
        graph = archive.read("network.onnx")
    check_graph(graph)
    # Messages in a row are merged: this adds a node to the graph.
    with pytest.raises(ModelFileError, match="operators"):
        check_graph(graph + _field(7, _field(1, node)))
    tensor = _field(13, b"") + _field(14, 1)
    with pytest.raises(ModelFileError, match="another file"):
        check_graph(graph + _field(7, _field(5, tensor)))
    with pytest.raises(ModelFileError, match="functions"):
        check_graph(graph + _field(25, b""))


def test_a_model_that_takes_too_long_is_refused(monkeypatch):
    def run(self, images, options=None):
        # As ONNX Runtime does before each operator of an endless network.
        while not options.terminate:
            time.sleep(0.01)
        raise ModelFileError("terminated")

    monkeypatch.setattr("shredfinder.models.model.OnnxNetwork.evaluate", run)
    monkeypatch.setattr("shredfinder.models.model._MAX_SECONDS", 0.2)
    with pytest.raises(ModelFileError, match=r"more than 0\.2 s per image"):
        TrainedModel.read()


def test_the_label_page_bounds_its_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "_MAX_THREADS", 4)
    session = LabellingSession([11], LabelStore(tmp_path / "labels.ecsv"), "ann")
    with LabellingPage(session, ["11.png"]) as running:
        parts = urlsplit(running.url)
        idle = [socket.create_connection((parts.hostname, parts.port)) for _ in range(12)]
        # The ninth to twelfth are closed at once.
        idle[-1].settimeout(10)
        assert idle[-1].recv(1) == b""
        for connection in idle:
            connection.close()
        for _ in range(100):
            client = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
            try:
                client.request("GET", f"{parts.path}state")
                assert json.loads(client.getresponse().read())["total"] == 1
                break
            except (ConnectionError, http.client.HTTPException):
                continue
            finally:
                client.close()
        else:
            raise AssertionError("the page does not respond after the idle connections have gone")
