"""Run the examples of the pages in temporary folders, and those on cutouts on a local server."""

from pathlib import Path

import pytest

DOCS = Path(__file__).parent
# Without examples. The gallery is tested by building it, which creates docs/examples.
collect_ignore = ["conf.py", "examples", "gallery", "pictures.py"]
collect_ignore += ["execute_notebooks.py", "gallery_support.py", "simulated_services.py"]


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch):
    """Run the examples of each page in a new folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def cutout_services(request, tmp_path, monkeypatch):
    """Point all cutout services at a local server of a simulated sky, with an empty cache."""
    if request.path.relative_to(DOCS).parts[0] not in ("cutouts", "cutouts.rst"):
        yield
        return
    from shredfinder import conf

    monkeypatch.setattr(conf, "cache_dir", str(tmp_path))
    from tests.cutouts.loopback import LoopbackServer

    with LoopbackServer() as server:
        for item in ("legacy_viewer", "hips2fits", "sdss", "sdss_sas", "sdss_sql", "ps1"):
            monkeypatch.setattr(conf, f"{item}_url", server.url)
        monkeypatch.setattr(conf, "sia_url", f"{server.url}/sia/ls_dr9")
        yield
