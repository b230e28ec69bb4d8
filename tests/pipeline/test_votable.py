"""VOTables of a search pass STILTS's votlint, if installed, and can be read again."""

import shutil
import subprocess

import astropy.units as u
import pytest
from astropy.io.votable import parse
from astropy.io.votable.ucd import check_ucd

from shredfinder import ShredTable
from shredfinder.cutouts import CutoutFetcher
from shredfinder.pipeline import build_pool, find_satellites
from shredfinder.table import write_catalogue

needs_stilts = pytest.mark.skipif(
    shutil.which("stilts") is None, reason="STILTS is not installed (Debian's stilts)"
)


@pytest.fixture(params=["legacy-dr9", "sdss-dr17", "ps1-dr2"])
def found(request, services):
    return find_satellites(
        "NGC 2903",
        request.param,
        radius=0.12 * u.deg,
        service=CutoutFetcher(rate=None),
        query={"columns": "all"},
        pictures=False,
        progress=False,
    )


@needs_stilts
def test_votlint_finds_no_error(found, tmp_path):
    tables = {
        "candidates": found.candidates,
        "satellites": found.satellites,
        "empty": found.satellites[:0],
        "pool": build_pool(found.candidates, 5, shred_share=0.2, random_state=1),
    }
    for name, table in tables.items():
        path = tmp_path / f"{name}.vot"
        write_catalogue(table, path)
        done = subprocess.run(
            ["stilts", "votlint", f"votable={path}", "ucd=true", "unit=true"],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        # votlint's exit status is 0 even where it finds errors.
        assert done.stdout.strip() + done.stderr.strip() == "", name


def test_ucds_units_and_scores_are_there(found, tmp_path):
    path = tmp_path / "candidates.vot"
    write_catalogue(found.candidates, path)
    fields = {field.name: field for field in parse(path).get_first_table().fields}
    assert fields["ra"].ucd == "pos.eq.ra;meta.main"
    assert fields["p_cnn"].ucd == "stat.probability"
    assert fields["projected_separation"].unit == u.kpc
    assert fields["mu_eff"].unit == u.mag / u.arcsec**2
    standard = found.candidates.colnames[: found.candidates.colnames.index("mu_err") + 1]
    tied = ["host_id", "separation", "projected_separation", "n_hosts", "host_entry"]
    assert all(fields[name].ucd for name in [*standard, *tied])
    # Debian's votlint checks the syntax of UCDs, but neither their vocabulary nor the units.
    for field in fields.values():
        assert field.ucd is None or check_ucd(field.ucd, check_controlled_vocabulary=True)
        if field.unit is not None:
            u.Unit(field.unit.to_string("vounit"), format="vounit", parse_strict="raise")
    again = ShredTable.read(path)
    assert again["objid"].tolist() == found.candidates["objid"].tolist()
    for half in (again["p_cnn"] < 0.5, again["p_cnn"] >= 0.5):
        assert not set(again["objid"][half]) & set(
            found.candidates["objid"][found.candidates["p_cnn_flag"] != ""]
        )
