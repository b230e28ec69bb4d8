"""Quality cuts on values, and the results of cuts."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shredfinder.cuts import (
    QualityResult,
    legacy_quality_cut,
    ps1_quality_cut,
    sdss_quality_cut,
)
from shredfinder.surveys import PS1_QUALITY_FLAGS, SDSS_FLAGS

LEGACY = {
    "type": "EXP",
    "shape_r": 1.5,
    "nobs": [1, 2, 3],
    "dered_mag": [20.5, 20.0, 19.8],
    "allmask": [0, 0, 0],
    "fracmasked": [0.34, 0.0, 0.1],
    "fracflux": [3.9, 0.1, 0.0],
    "rchisq": [9.9, 3.9, 9.9],
    "fracin": [0.1, 0.2, 0.71],
    "mag_err": [0.19, 0.01, 0.02],
}
SDSS = {
    "type": 3,
    "flags_r": SDSS_FLAGS["BINNED1"],
    "dered_mag": [18.2, 17.6, 17.3],
    "mag_err": [0.4, 0.4, 0.6],
    "petro_r50": 2.0,
}
PS1 = {
    "quality_flag": 1 + 4 + 16 + 32,
    "n_detections": 2,
    "primary_detection": 1,
    "psf_mag": 19.6,
    "kron_mag": 19.5,
    "dered_mag": [20.1, 19.5, 19.1],
    "mag_err": [0.19, 0.1, 0.1],
    "petro_r50": 1.8,
}
CASES = [
    (legacy_quality_cut, LEGACY, "type", "PSF", ["type"]),
    (legacy_quality_cut, LEGACY, "type", "DUP ", ["type"]),
    (legacy_quality_cut, LEGACY, "type", b"PSF", ["type"]),
    (legacy_quality_cut, LEGACY, "type", "", ["type"]),
    (legacy_quality_cut, LEGACY, "shape_r", 0.0, ["shape_r"]),
    (legacy_quality_cut, LEGACY, "shape_r", np.nan, ["shape_r"]),
    (legacy_quality_cut, LEGACY, "nobs", [1, 0, 3], ["nobs"]),
    (legacy_quality_cut, LEGACY, "dered_mag", [20.5, np.nan, 19.8], ["dered_mag"]),
    (legacy_quality_cut, LEGACY, "dered_mag", [20.5, np.inf, 19.8], ["dered_mag"]),
    (legacy_quality_cut, LEGACY, "allmask", [0, 0, 2], ["allmask"]),
    (legacy_quality_cut, LEGACY, "fracmasked", [0.35, 0.0, 0.0], ["fracmasked"]),
    (legacy_quality_cut, LEGACY, "fracflux", [0.0, 4.0, 0.0], ["fracflux"]),
    (legacy_quality_cut, LEGACY, "rchisq", [10.0, 3.9, 3.9], ["rchisq"]),
    (legacy_quality_cut, LEGACY, "rchisq", [4.0, 4.0, 4.0], ["rchisq_any"]),
    (legacy_quality_cut, LEGACY, "rchisq", [20.0, 20.0, 20.0], ["rchisq", "rchisq_any"]),
    (legacy_quality_cut, LEGACY, "fracin", [0.7, 0.7, 0.7], ["fracin_any"]),
    (legacy_quality_cut, LEGACY, "mag_err", [0.2, 0.01, 0.01], ["mag_err"]),
    (legacy_quality_cut, LEGACY, "mag_err", [np.nan, 0.01, 0.01], ["mag_err"]),
    (legacy_quality_cut, LEGACY, "mag_err", [-0.1, 0.01, 0.01], ["mag_err"]),
    (sdss_quality_cut, SDSS, "type", 6, ["type"]),
    (sdss_quality_cut, SDSS, "flags_r", 0, ["BINNED1"]),
    (sdss_quality_cut, SDSS, "flags_r", 0x10040000, ["SATURATED"]),
    (sdss_quality_cut, SDSS, "flags_r", 0x10010000000, ["BAD_COUNTS_ERROR"]),
    (sdss_quality_cut, SDSS, "petro_r50", np.nan, ["petro_r50"]),
    (sdss_quality_cut, SDSS, "dered_mag", [np.nan, 17.6, 17.3], ["dered_mag"]),
    (sdss_quality_cut, SDSS, "dered_mag", [18.2, 17.6, np.nan], []),
    (sdss_quality_cut, SDSS, "mag_err", [0.4, 0.5, 0.6], ["mag_err"]),
    (sdss_quality_cut, SDSS, "mag_err", [0.4, -9999.0, np.nan], ["mag_err"]),
    (ps1_quality_cut, PS1, "quality_flag", 1 + 4 + 64, ["quality_flag"]),
    (ps1_quality_cut, PS1, "quality_flag", 16 + 128, ["quality_flag"]),
    (ps1_quality_cut, PS1, "n_detections", 1, ["n_detections"]),
    (ps1_quality_cut, PS1, "primary_detection", 0, ["primary_detection"]),
    (ps1_quality_cut, PS1, "psf_mag", 19.54, ["extended"]),
    (ps1_quality_cut, PS1, "kron_mag", np.nan, ["extended"]),
    (ps1_quality_cut, PS1, "petro_r50", 0.0, ["petro_r50"]),
    (ps1_quality_cut, PS1, "dered_mag", [20.1, 19.5, np.nan], ["dered_mag"]),
    (ps1_quality_cut, PS1, "mag_err", [0.2, 0.1, 0.1], ["mag_err"]),
]


@pytest.mark.parametrize(
    ("cut", "good"),
    [(legacy_quality_cut, LEGACY), (sdss_quality_cut, SDSS), (ps1_quality_cut, PS1)],
    ids=["legacy", "sdss", "ps1"],
)
def test_good_source_passes_as_bool(cut, good):
    result = cut(**good)
    assert result.passed is True
    assert all(met is True for met in result.criteria.values())


@pytest.mark.parametrize(("cut", "good", "name", "value", "failed"), CASES)
def test_each_criterion_at_its_limit(cut, good, name, value, failed):
    result = cut(**{**good, name: value})
    assert [key for key, met in result.criteria.items() if not met] == failed
    assert result.passed is not bool(failed)


def test_flag_values():
    assert SDSS_FLAGS == {
        "BINNED1": 2**28,
        "SATURATED": 2**18,
        "BAD_COUNTS_ERROR": 2**40,
    }
    assert PS1_QUALITY_FLAGS["QF_OBJ_GOOD_STACK"] == 16
    assert PS1_QUALITY_FLAGS["QF_OBJ_BAD_STACK"] == 128


def test_all_64_bits_of_flags_are_read():
    high = np.array([SDSS_FLAGS["BINNED1"] | 1 << 63], dtype=np.uint64)
    assert sdss_quality_cut(**{**SDSS, "flags_r": high}).passed.all()
    whole = float(SDSS_FLAGS["BINNED1"] | SDSS_FLAGS["BAD_COUNTS_ERROR"])
    flags = np.array([whole, np.nan])
    result = sdss_quality_cut(**{**SDSS, "flags_r": flags})
    assert result.criteria["BINNED1"].tolist() == [True, False]
    assert result.criteria["SATURATED"].tolist() == [True, False]
    with pytest.raises(TypeError, match="flags_r"):
        sdss_quality_cut(**{**SDSS, "flags_r": 2.0**60})
    with pytest.raises(TypeError, match="flags_r"):
        sdss_quality_cut(**{**SDSS, "flags_r": 1.5})


def test_masked_rows_do_not_pass():
    def masked(values):
        return np.ma.array([values, values], mask=[np.zeros_like(values), np.ones_like(values)])

    for cut, good in ((sdss_quality_cut, SDSS), (ps1_quality_cut, PS1)):
        for name, value in good.items():
            assert cut(**{**good, name: masked(value)}).passed.tolist() == [True, False]
    for name, value in LEGACY.items():
        if name == "type":
            value = MaskedColumn(["EXP", "EXP"], mask=[False, True])
        else:
            value = masked(value)
        assert legacy_quality_cut(**{**LEGACY, name: value}).passed.tolist() == [True, False]


def test_types_of_many_kinds():
    for types in (
        np.array([b"EXP ", b"PSF"]),
        np.array(["exp", "psf"], dtype=object),
        np.ma.array(["EXP", "EXP"], mask=[False, True]),
        np.array(["EXP", None], dtype=object),
    ):
        assert legacy_quality_cut(**{**LEGACY, "type": types}).passed.tolist() == [True, False]
    with pytest.raises(TypeError, match="type"):
        legacy_quality_cut(**{**LEGACY, "type": [1, 2]})


def test_bands_as_mapping_or_array():
    mapping = dict(zip("zgr", [[19.8], [20.5], [20.0]], strict=True))
    result = legacy_quality_cut(**{**LEGACY, "dered_mag": mapping})
    assert result.passed.tolist() == [True]
    with pytest.raises(TypeError, match="dered_mag lacks band z"):
        legacy_quality_cut(**{**LEGACY, "dered_mag": {"g": 20.5, "r": 20.0}})
    with pytest.raises(ValueError, match=r"fracin must have 3 values.*shape \(2,\)"):
        legacy_quality_cut(**{**LEGACY, "fracin": [1.0, 1.0]})
    with pytest.raises(ValueError, match="bands must include g and r"):
        sdss_quality_cut(**SDSS, bands=("g", "i", "z"))


def test_wrong_units_name_the_argument():
    with pytest.raises(u.UnitsError, match="shape_r"):
        legacy_quality_cut(**{**LEGACY, "shape_r": 2 * u.pix})
    with pytest.raises(u.UnitsError, match=r"mag_err\['g'\]"):
        legacy_quality_cut(**{**LEGACY, "mag_err": {"g": 1 * u.m, "r": 0.1, "z": 0.1}})
    with pytest.raises(u.UnitsError, match="fracflux"):
        legacy_quality_cut(**{**LEGACY, "fracflux": [1, 1, 1] * u.mag})
    passed = legacy_quality_cut(**{**LEGACY, "shape_r": 0.02 * u.arcmin}, min_shape_r=1.0).passed
    assert passed


def test_other_and_omitted_thresholds():
    bad = {**LEGACY, "rchisq": [20.0, 20.0, 20.0]}
    looser = legacy_quality_cut(**bad, max_rchisq=None, max_rchisq_any=None)
    assert looser.passed
    assert not {"rchisq", "rchisq_any"} & looser.criteria.keys()
    without = {name: value for name, value in LEGACY.items() if name != "rchisq"}
    assert legacy_quality_cut(**without, max_rchisq=None, max_rchisq_any=None).passed
    with pytest.raises(TypeError, match="rchisq"):
        legacy_quality_cut(**without)
    assert not legacy_quality_cut(**LEGACY, max_mag_err=0.1).passed
    assert not ps1_quality_cut(**PS1, min_detections=3).passed
    assert (
        "primary_detection"
        not in ps1_quality_cut(
            **{name: value for name, value in PS1.items() if name != "primary_detection"}
        ).criteria
    )
    with pytest.raises(ValueError, match="unknown SDSS flag 'EDGE'"):
        sdss_quality_cut(**SDSS, unset_flags=("EDGE",))


def test_empty_catalogue():
    empty = {name: np.zeros((0, 3)) for name in LEGACY}
    result = legacy_quality_cut(**{**empty, "type": [], "shape_r": []})
    assert result.passed.shape == (0,)
    assert "0 of 0 rows" in repr(result)


def test_result_counts_and_summary():
    result = QualityResult({"a": [True, False, False, True], "b": [True, False, True, True]})
    assert result.n_removed == {"a": 2, "b": 1}
    assert result.n_removed_alone == {"a": 1, "b": 0}
    summary = result.summary()
    assert summary["left"].tolist() == [2, 2]
    assert "2 of 4 rows pass" in repr(result)
    joined = result.and_also(QualityResult({"c": [False, True, True, True]}))
    assert joined.passed.tolist() == [False, False, False, True]
    with pytest.raises(ValueError, match="criterion a"):
        result.and_also(result)
    with pytest.raises(ValueError, match="at least one"):
        QualityResult({})


def test_result_does_not_share_memory_with_its_input():
    mask = np.array([True, False])
    result = QualityResult({"a": mask})
    mask[:] = True
    assert result.passed.tolist() == [True, False]


@given(hnp.arrays(float, (8, 3), elements=st.floats(0, 12)), st.floats(0, 12), st.floats(0, 5))
def test_looser_threshold_never_removes(rchisq, limit, more):
    rows = {**LEGACY, "rchisq": rchisq}
    tight = legacy_quality_cut(**rows, max_rchisq=limit, max_rchisq_any=limit).passed
    loose = legacy_quality_cut(**rows, max_rchisq=limit + more, max_rchisq_any=limit + more).passed
    assert (loose >= tight).all()


@given(
    hnp.arrays(float, (6, 3), elements=st.floats(0, 1) | st.just(np.nan)),
    st.permutations(range(6)),
)
def test_rows_are_independent(errors, order):
    whole = legacy_quality_cut(**{**LEGACY, "mag_err": errors}).passed
    assert (legacy_quality_cut(**{**LEGACY, "mag_err": errors[order]}).passed == whole[order]).all()
    alone = [legacy_quality_cut(**{**LEGACY, "mag_err": row}).passed for row in errors]
    assert whole.tolist() == alone
    mapping = {band: errors[:, i] for i, band in enumerate("grz")}
    assert (legacy_quality_cut(**{**LEGACY, "mag_err": mapping}).passed == whole).all()
