"""Pools of sources to label."""

import numpy as np
import pytest
from astropy.table import Table

from shredfinder.cli import main
from shredfinder.exceptions import ShredfinderWarning
from shredfinder.pipeline import build_pool


def scored(n=2000, *, shreds=0.05, seed=0):
    rng = np.random.default_rng(seed)
    table = Table({"objid": np.arange(n), "ra": rng.uniform(0, 9, n), "dec": rng.uniform(0, 9, n)})
    shred = rng.uniform(size=n) < shreds
    table["p_cnn"] = np.where(shred, rng.uniform(0.5, 1, n), rng.uniform(0, 0.5, n))
    table["p_cnn"][:20] = np.nan
    return table


def test_share_and_order():
    table = scored()
    pool = build_pool(table, 200, random_state=3)
    assert len(pool) == len(set(pool["objid"].tolist())) == 200
    shred = pool["p_cnn"] >= 0.5
    assert shred.sum() == 80
    assert np.isfinite(pool["p_cnn"]).all()
    # Random order: shreds are neither first nor last.
    assert 0.3 < np.flatnonzero(shred).mean() / 200 < 0.7
    # Sources with any score are drawn, not only the most certain ones.
    assert pool["p_cnn"][shred].min() < 0.6
    assert set(pool["label"]) == {""}
    again = build_pool(table, 200, random_state=3)
    assert again["objid"].tolist() == pool["objid"].tolist()
    assert build_pool(table, 200, random_state=4)["objid"].tolist() != pool["objid"].tolist()


def test_too_few_shreds_keep_the_share():
    table = scored(shreds=0.01, seed=1)
    n_shreds = np.count_nonzero(table["p_cnn"] >= 0.5)
    with pytest.warns(ShredfinderWarning, match=f"only {n_shreds} sources as shreds"):
        pool = build_pool(table, 1000, random_state=1)
    assert np.count_nonzero(pool["p_cnn"] >= 0.5) / len(pool) == pytest.approx(0.4, abs=0.03)
    assert len(pool) < 100


def test_groups_are_linked_neighbours():
    table = Table({"ra": [359.98, 0.05, 0.12, 10.0, 10.05, 20.0], "dec": [0.0] * 6,
                   "p_cnn": [0.9, 0.1, 0.9, 0.1, 0.9, 0.1]})  # fmt: skip
    pool = build_pool(table, 6, shred_share=0.5, random_state=0)
    groups = {}
    for ra, group in zip(pool["ra"], pool["sky_group"], strict=True):
        groups.setdefault(int(group), set()).add(float(ra))
    assert sorted(map(sorted, groups.values())) == [[0.05, 0.12, 359.98], [10.0, 10.05], [20.0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_sources": 0}, "whole number of at least 1"),
        ({"shred_share": 1.5}, "between 0 and 1"),
        ({"threshold": -1}, "between 0 and 1"),
    ],
)
def test_bad_numbers(options, message):
    with pytest.raises(ValueError, match=message):
        build_pool(scored(), **({"n_sources": 10} | options))


def test_unscored_tables_are_refused():
    table = scored()
    table["p_cnn"] = np.nan
    with pytest.raises(ValueError, match="score the table first"):
        build_pool(table, 10)
    with pytest.raises(KeyError, match="p_cnn"):
        build_pool(table["objid", "ra", "dec"], 10)


@pytest.mark.parametrize("name", ["label", "sky_group"])
def test_own_columns_are_not_replaced(name, tmp_path, capsys):
    table = Table({"objID": [1], "ra": [10.0], "dec": [0.0], "p_cnn": [0.4], name: ["mine"]})
    with pytest.raises(ValueError, match=f"column '{name}', which would be replaced"):
        build_pool(table, 1)
    table.write(tmp_path / "a.csv")
    argv = ["pool", str(tmp_path / "a.csv"), "--hosts", "none", "-o", str(tmp_path / "o.csv")]
    assert main(argv) == 1
    assert "would be replaced" in capsys.readouterr().err
