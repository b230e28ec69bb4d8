"""Scores for pandas DataFrames."""

import numpy as np
import pytest

from shredfinder import add_p_cnn
from shredfinder.datasets import example_cutouts

from .conftest import make_cutouts

pd = pytest.importorskip("pandas")


@pytest.fixture
def frame():
    """Create a frame with repeated index values, nulls, text and dates."""
    return pd.DataFrame(
        {
            "objID": np.arange(4) + 2**60,
            "name": pd.array(["a", None, "c", "d"], dtype="string"),
            "number": pd.array([1, 2, None, 4], dtype="Int64"),
            "kind": pd.Categorical(["x", "y", "x", "y"]),
            "day": pd.to_datetime(["2020-01-01"] * 4),
        },
        index=[7, 7, 3, 1],
    )


@pytest.fixture
def images():
    images = example_cutouts().images[:4].copy()
    images[1] = 32
    return images


def test_columns_are_added_in_place(frame, classifier):
    before = frame.copy()
    assert add_p_cnn(frame, classifier, make_cutouts([0.2, np.nan, 0.8, 0.5])) is None
    assert list(frame.columns) == [*before.columns, "p_cnn", "p_cnn_flag"]
    pd.testing.assert_frame_equal(frame[list(before.columns)], before)
    assert frame["p_cnn"].dtype == np.float32
    np.testing.assert_allclose(frame["p_cnn"], [0.2, np.nan, 0.8, 0.5], rtol=1e-5)
    assert frame["p_cnn_flag"].tolist() == ["", "blank", "", ""]
    # The unscored row is selected by neither half.
    halves = frame[frame["p_cnn"] < 0.5], frame[frame["p_cnn"] >= 0.5]
    assert [half["objID"].tolist() for half in halves] == [[2**60], [2**60 + 2, 2**60 + 3]]


@pytest.mark.filterwarnings("ignore:the .* has no rows")
def test_empty_frames(frame, classifier):
    empty = frame[:0].copy()
    add_p_cnn(empty, classifier, [])
    assert list(empty.columns) == [*frame.columns, "p_cnn", "p_cnn_flag"]
    assert empty["p_cnn"].dtype == np.float32


@pytest.mark.filterwarnings("ignore:.* of .* rows (have|repeat)")
def test_file_names_and_paths_from_columns(frame, image_files, classifier):
    names = ["good.png", "blank.png", None, "absent.png"]
    frame["file"] = names
    expected = ["", "blank", "missing", "missing"]
    add_p_cnn(frame, classifier, image_files, pattern="{file}")
    assert frame["p_cnn_flag"].tolist() == expected
    frame["path"] = [None if name is None else str(image_files / name) for name in names]
    add_p_cnn(frame, classifier, frame["path"])
    assert frame["p_cnn_flag"].tolist() == expected


def test_own_columns_are_replaced_and_foreign_ones_are_not(frame, classifier):
    cutouts = make_cutouts([0.2, np.nan, 0.8, 0.5])
    add_p_cnn(frame, classifier, cutouts)
    add_p_cnn(frame, classifier, cutouts[::-1])
    assert frame["p_cnn_flag"].tolist() == ["", "", "blank", ""]
    frame["p_cnn"] = ["high", "low", "low", "high"]
    before = frame.copy()
    with pytest.raises(ValueError, match="column 'p_cnn' that shredfinder did not write"):
        add_p_cnn(frame, classifier, cutouts)
    pd.testing.assert_frame_equal(frame, before)
    add_p_cnn(frame, classifier, cutouts, replace_columns=True)
    assert frame["p_cnn_flag"].tolist() == ["", "blank", "", ""]


def test_stale_optional_columns_are_removed(frame, images):
    add_p_cnn(frame, cutouts=images, std=True, novelty=True)
    assert list(frame.columns)[-4:] == ["p_cnn", "p_cnn_flag", "p_cnn_std", "p_cnn_novelty"]
    assert np.isnan(frame["p_cnn_std"]).tolist() == [False, True, False, False]
    # They would not belong to the new scores.
    add_p_cnn(frame, cutouts=images)
    assert list(frame.columns)[-2:] == ["p_cnn", "p_cnn_flag"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interrupts_leave_the_frame_unchanged(error, frame, classifier, monkeypatch):
    cutouts = make_cutouts([0.2, np.nan, 0.8, 0.5])
    add_p_cnn(frame, classifier, cutouts)
    before = frame.copy()

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(classifier, "score_images", fail)
    with pytest.raises(error):
        add_p_cnn(frame, classifier, cutouts[::-1])
    pd.testing.assert_frame_equal(frame, before)
