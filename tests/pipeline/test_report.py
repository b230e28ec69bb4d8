"""Reports are one self-contained file that shows the whole result."""

import dataclasses
import html.parser
import re

import astropy.units as u
import numpy as np
import pytest
from astropy.config import set_temp_cache

from shredfinder.cutouts import CutoutFetcher
from shredfinder.pipeline import find_satellites

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


@pytest.fixture(scope="module")
def found(servers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("astropy")
    with servers.configured(), set_temp_cache(folder):
        return find_satellites(
            "NGC 2903", radius=0.12 * u.deg, service=CutoutFetcher(rate=None), progress=False
        )  # fmt: skip


@pytest.fixture
def plain(found):
    """The search without its pictures, to be changed by a test."""
    candidates = found.candidates.copy()
    return dataclasses.replace(found, candidates=candidates, view=None, galleries={})


class Reader(html.parser.HTMLParser):
    """Collect addresses and text, and check that tags are closed."""

    void = ("meta", "img", "br")

    def __init__(self):
        super().__init__()
        self.addresses, self.open, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.addresses += [v for k, v in attrs if k in ("src", "href", "srcset", "data")]
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert reader.open == []
    return reader


def test_html_is_self_contained_and_complete(found, tmp_path):
    path = tmp_path / "report.html"
    found.write_report(path)
    reader = read(path)
    # The view, the fractions, shreds and galaxies.
    assert len(reader.addresses) == 4
    assert all(re.match("data:image/(png|jpeg);base64,", a) for a in reader.addresses)
    text = " ".join(reader.text)
    assert "url(" not in text
    for words in (
        "Satellite candidates around NGC 2903",
        f"{found.shred_fraction['shred_fraction'][0]:.1%}",
        str(len(found.satellites)),
        "sources of the catalogue in the region",
        "Sources removed by each criterion",
        "arXiv:2301.09648",
        str(found.satellites["objid"][np.argmin(found.satellites["r"])]),
        str(found.hosts["host_id"][0]),
        found.settings["model"]["model"],
    ):
        assert words in text, words


def test_names_are_escaped_and_warnings_shown(plain, tmp_path):
    found = plain
    found.name = "<script>alert(1)</script>"
    found.warnings = ["the field view lacks sdss-dr17: <html>"]
    found.candidates["p_cnn_flag"][0], found.candidates["p_cnn"][0] = "no coverage", np.nan
    path = tmp_path / "report.html"
    found.write_report(path)
    assert "<script" not in path.read_text()
    text = " ".join(read(path).text)
    assert "lacks sdss-dr17: <html>" in text
    assert "1 no coverage" in text


def test_pdf(found, tmp_path):
    path = tmp_path / "report.pdf"
    found.write_report(path)
    content = path.read_bytes()
    assert content.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", content)) == 5


def test_bad_names(found, tmp_path):
    with pytest.raises(ValueError, match=r"an \.html or \.pdf file"):
        found.write_report(tmp_path / "report.docx")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        found.write_report(tmp_path / "nowhere" / "report.html")


def test_without_pictures(plain, tmp_path):
    plain.write_report(tmp_path / "report.html")
    assert len(read(tmp_path / "report.html").addresses) == 1


def test_nothing_found(plain, tmp_path):
    empty = dataclasses.replace(plain, candidates=plain.candidates[:0], hosts=plain.hosts[:0])
    empty.write_report(tmp_path / "report.html")
    text = " ".join(read(tmp_path / "report.html").text)
    assert "0 satellite candidates" in " ".join(text.split())
    assert "Hosts (" not in text
