import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from shredfinder import Cutouts, ShredClassifier
from shredfinder.evaluation import compute_metrics, cross_validate, make_folds
from tests.conftest import needs_backend


def test_folds_keep_groups_whole_and_exclude_other_labels():
    rng = np.random.default_rng(0)
    p_shred = (rng.random(300) < 0.4).astype(float)
    p_shred[:10] = np.nan
    groups = rng.integers(0, 120, 300)
    folds = make_folds(p_shred, groups)
    assert (folds[:10] == -1).all()
    assert set(folds[10:]) == set(range(5))
    for group in np.unique(groups[10:]):
        assert len(set(folds[10:][groups[10:] == group])) == 1
    np.testing.assert_array_equal(make_folds(p_shred, groups), folds)


@needs_backend
def test_each_source_is_scored_by_a_model_that_has_not_seen_it(
    tiny, toy_images, tmp_path, monkeypatch
):
    images, y = toy_images
    cutouts = Cutouts(images, pixel_scale=0.46875, bands="zrg")
    seen = []
    fit = ShredClassifier.fit

    def spy(self, X, *args, **kwargs):
        seen.append({image.tobytes() for image in X.images})
        return fit(self, X, *args, **kwargs)

    monkeypatch.setattr(ShredClassifier, "fit", spy)
    labels = np.where(y, "shred", "galaxy").astype("U6")
    labels[0] = "other"
    options = {"n_splits": 2, "epochs": 1, "progress": False, "checkpoint": tmp_path}
    p_cnn, folds = cross_validate(ShredClassifier(tiny, random_state=0), cutouts, labels, **options)
    assert np.isnan(p_cnn).tolist() == [True] + [False] * 59
    for k, fitted in enumerate(seen):
        assert not fitted & {image.tobytes() for image in images[folds == k]}
        assert images[0].tobytes() not in fitted

    # Finished folds are not trained again.
    again, _ = cross_validate(ShredClassifier(tiny, random_state=0), cutouts, labels, **options)
    assert len(seen) == 2
    np.testing.assert_array_equal(again, p_cnn)


def test_any_estimator_is_cross_validated_in_groups():
    rng = np.random.default_rng(0)
    # The features identify the group, whose sources all have the same class.
    group = np.repeat(np.arange(40), 5)
    y = group % 2
    features = np.eye(40)[group] + rng.normal(0, 0.01, (200, 40))
    leaking, _ = cross_validate(LogisticRegression(), features, y)
    grouped, folds, models = cross_validate(
        LogisticRegression(), features, y, groups=group, return_models=True
    )
    assert compute_metrics(y, leaking)["accuracy"] > 0.95
    assert compute_metrics(y, grouped)["auc"] < 0.7
    assert len(models) == 5
    held = folds == 3
    np.testing.assert_allclose(grouped[held], models[3].predict_proba(features[held])[:, 1], 1e-6)
    with pytest.raises(ValueError, match="leave out checkpoint"):
        cross_validate(LogisticRegression(), features, y, checkpoint="state")


def test_images_and_labels_must_have_the_same_length():
    with pytest.raises(ValueError, match="3 images but 2 labels"):
        cross_validate(ShredClassifier(), np.zeros((3, 8, 8, 3)), [0, 1])
