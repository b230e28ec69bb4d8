"""The examples of the pages on cutout services ask a server on loopback."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# These need Sphinx and Matplotlib, and have no examples.
collect_ignore = ["conf.py", "pictures.py"]


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    """Let pages write files: in a folder of their own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def cutout_services(request, tmp_path, monkeypatch):
    """Set the services' addresses to those of a simulated sky, and the cache to a new folder."""
    if request.path.relative_to(ROOT / "docs").parts[0] not in ("cutouts", "cutouts.rst"):
        yield
        return
    from shredfinder import conf

    monkeypatch.setattr(conf, "cache_dir", str(tmp_path))
    from tests.cutouts.loopback import LoopbackServer

    with LoopbackServer() as server:
        for item in ("legacy_viewer", "hips2fits", "sdss", "sdss_sas", "sdss_sql", "ps1"):
            monkeypatch.setattr(conf, f"{item}_url", server.url)
        monkeypatch.setattr(conf, "sia_url", f"{server.url}/sia")
        yield
