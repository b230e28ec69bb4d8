"""ShredClassifier as an estimator of scikit-learn."""

import pickle
import random

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.metrics import (
    RocCurveDisplay,
    brier_score_loss,
    get_scorer,
    make_scorer,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from shredfinder import Cutouts, ShredClassifier
from shredfinder.exceptions import NotFittedError
from tests.conftest import needs

NAMES = np.array(["galaxy", "shred"])


@pytest.fixture(scope="module")
def classifier(tiny):
    return ShredClassifier(tiny, epochs=6, random_state=0, symmetry="none")


@pytest.fixture(scope="module")
def fitted(classifier, toy_images):
    images, y = toy_images
    return clone(classifier).fit(images, NAMES[y], progress=False)


class TestParameters:
    def test_the_constructor_stores_parameters_and_nothing_else(self):
        bands = ["z", "r", "g"]
        classifier = ShredClassifier("resnet", "vlt", bands=bands, epochs=-1, symmetry=True)
        assert classifier.bands is bands
        assert set(vars(classifier)) == set(classifier.get_params())

    def test_clone_copies_parameters_and_not_the_model(self, fitted):
        copy = clone(fitted)
        assert copy.get_params() == fitted.get_params()
        for name in ("model_", "classes_", "history_", "size_"):
            assert hasattr(fitted, name)
            assert not hasattr(copy, name)

    def test_set_params(self):
        assert ShredClassifier().set_params(epochs=3, recipe="published").epochs == 3
        with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
            ShredClassifier().set_params(depth=3)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"architecture": "resnet"}, "architecture must be one of compact.*got 'resnet'"),
            ({"survey": "vlt"}, "survey"),
            ({"symmetry": True}, "symmetry must be one of none.*got True"),
            ({"random_state": -1}, "random_state must be a whole number"),
            ({"epochs": 0}, "epochs must be a whole number of at least 1"),
            ({"batch_size": 2.5}, "batch_size must be"),
            ({"patience": -1}, "patience must be"),
            ({"validation": 1.5}, "validation must be a fraction"),
            ({"recipe": "slow"}, "recipe must be"),
        ],
    )
    def test_fit_validates_them(self, tiny, toy_images, parameters, message):
        with pytest.raises(ValueError, match=message):
            ShredClassifier(**{"architecture": tiny} | parameters).fit(*toy_images)

    def test_scoring_validates_the_symmetry(self, fitted, toy_images):
        changed = pickle.loads(pickle.dumps(fitted)).set_params(symmetry=True)
        with pytest.raises(ValueError, match=r"symmetry must be one of none.*got True"):
            changed.predict(toy_images[0])

    def test_arguments_of_fit_replace_them(self, classifier, toy_images):
        copy = clone(classifier).set_params(validation=0.25)
        copy.fit(*toy_images, epochs=1, validation=None, progress=False)
        assert copy.epochs == 6
        assert set(copy.history_) == {"loss", "accuracy"}
        assert len(copy.history_["loss"]) == 1
        copy.fit(*toy_images, epochs=1, progress=False)
        assert "val_loss" in copy.history_


class TestFitted:
    def test_state(self, classifier, fitted):
        check_is_fitted(fitted)
        check_is_fitted(ShredClassifier.load())
        with pytest.raises(SklearnNotFittedError):
            check_is_fitted(classifier)
        assert is_classifier(classifier)
        assert "not fitted" in repr(classifier)
        assert "ShredClassifier" in classifier._repr_html_()

    def test_the_error_is_that_of_scikit_learn_too(self, classifier, toy_images):
        with pytest.raises(NotFittedError, match="call fit") as caught:
            classifier.predict(toy_images[0])
        assert isinstance(caught.value, (SklearnNotFittedError, AttributeError))
        assert type(pickle.loads(pickle.dumps(caught.value))) is NotFittedError

    def test_tags(self, classifier):
        tags = get_tags(classifier)
        assert tags.estimator_type == "classifier"
        assert not tags.input_tags.two_d_array
        assert tags.input_tags.allow_nan
        assert tags.target_tags.required
        assert not tags.classifier_tags.multi_class

    @pytest.mark.parametrize(
        ("labels", "classes"),
        [
            (["galaxy", "shred"], ["galaxy", "shred"]),
            ([0, 1], [0, 1]),
            ([False, True], [False, True]),
            ([0.1, 0.9], ["galaxy", "shred"]),
        ],
    )
    def test_predictions_are_labels_like_those_given(self, classifier, toy_images, labels, classes):
        images, y = toy_images
        copy = clone(classifier).fit(images, np.array(labels)[y], progress=False)
        assert copy.classes_.tolist() == classes
        predicted = copy.predict(images)
        expected = copy.classes_[(copy.predict_proba(images)[:, 1] >= 0.5).astype(int)]
        assert predicted.tolist() == expected.tolist()
        # All kinds of labels describe the same two classes.
        assert (
            copy.score(images, y)
            == copy.score(images, NAMES[y])
            == np.mean((predicted == copy.classes_[1]) == y)
        )

    def test_unscored_rows_have_no_class(self, fitted, toy_images):
        images = toy_images[0][:3].copy()
        images[1] = 32
        predicted = fitted.predict(images)
        assert predicted.mask.tolist() == [False, True, False]
        assert predicted.data[1] == ""

    def test_global_random_states_are_left_alone(self, classifier, toy_images):
        random.seed(3)
        np.random.seed(3)  # noqa: NPY002
        before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
        clone(classifier).fit(*toy_images, epochs=1, progress=False)
        assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002


class TestTools:
    @pytest.mark.parametrize("labels", [NAMES, np.array([0, 1])])
    def test_scorers(self, classifier, toy_images, labels):
        images, y = toy_images
        copy = clone(classifier).fit(images, labels[y], progress=False)
        p = copy.predict_proba(images)[:, 1].astype(float)
        loss = -np.mean(np.log(np.where(y, p, 1 - p)))
        expected = {
            "accuracy": copy.score(images, y),
            "roc_auc": roc_auc_score(y, p),
            "neg_log_loss": -loss,
        }
        for name, value in expected.items():
            assert get_scorer(name)(copy, images, labels[y]) == pytest.approx(value, abs=1e-5)
        brier = get_scorer("neg_brier_score")
        if labels is NAMES:
            # As for every classifier, this scorer must be told which of two names is positive.
            brier = make_scorer(
                brier_score_loss,
                greater_is_better=False,
                response_method="predict_proba",
                pos_label="shred",
            )
        assert brier(copy, images, labels[y]) == pytest.approx(-np.mean((p - y) ** 2), abs=1e-5)

    def test_cross_validation(self, classifier, toy_images):
        images, y = toy_images
        # Cutouts can be indexed like arrays.
        cutouts = Cutouts.of_survey("legacy-dr9", images)
        scores = cross_val_score(
            classifier, cutouts, NAMES[y], cv=2, scoring="roc_auc", params={"progress": False}
        )
        assert scores.shape == (2,)
        assert scores.min() > 0.9
        paths_free = cross_val_predict(classifier, images, NAMES[y], cv=2, method="predict_proba")
        assert paths_free.shape == (60, 2)

    def test_grid_search(self, classifier, toy_images):
        images, y = toy_images
        search = GridSearchCV(classifier, {"epochs": [1, 6]}, cv=2).fit(
            images, NAMES[y], progress=False
        )
        assert search.best_params_ == {"epochs": 6}
        assert search.best_estimator_.score(images, y) > 0.9

    def test_pipeline(self, classifier, fitted, toy_images):
        images, y = toy_images
        pipeline = make_pipeline("passthrough", clone(classifier))
        pipeline.fit(images, NAMES[y], shredclassifier__progress=False)
        np.testing.assert_array_equal(pipeline.predict_proba(images), fitted.predict_proba(images))
        assert pipeline.predict(images).tolist() == fitted.predict(images).tolist()

    @pytest.mark.parametrize("labels", [NAMES, np.array([0, 1])])
    def test_calibration(self, classifier, toy_images, labels):
        images, y = toy_images
        calibrated = CalibratedClassifierCV(classifier, cv=2).fit(images, labels[y], progress=False)
        assert calibrated.classes_.tolist() == labels.tolist()
        assert np.mean(calibrated.predict(images) == labels[y]) > 0.9

    @needs("matplotlib")
    def test_curves(self, fitted, toy_images):
        images, y = toy_images
        display = RocCurveDisplay.from_estimator(fitted, images, NAMES[y])
        assert display.roc_auc > 0.9


class Tabular(ShredClassifier):
    """A classifier that claims to accept tables of numbers.

    scikit-learn would skip all its checks for an estimator of images.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


# Most checks fit tables of numbers, (n_samples, n_features), where this classifier expects images,
# (n, ny, nx, n_bands). The tests above make the same demands with images.
FITS_TABLES = """
check_fit_score_takes_y check_estimators_overwrite_params check_dont_overwrite_parameters
check_estimators_fit_returns_self check_readonly_memmap_input
check_positive_only_tag_during_fit check_estimators_dtypes check_sample_weights_pandas_series
check_sample_weights_not_an_array check_sample_weights_list check_all_zero_sample_weights_error
check_sample_weights_shape check_sample_weights_not_overwritten
check_sample_weight_equivalence_on_dense_data check_complex_data check_dtype_object
check_estimators_empty_data_messages check_pipeline_consistency check_estimator_sparse_tag
check_estimator_sparse_array check_estimator_sparse_matrix check_estimators_pickle
check_f_contiguous_array_estimator check_classifier_data_not_an_array
check_classifiers_one_label check_classifiers_one_label_sample_weights
check_classifiers_classes check_classifiers_train check_supervised_y_2d
check_classifier_not_supporting_multiclass check_methods_sample_order_invariance
check_methods_subset_invariance check_fit2d_1sample check_fit2d_1feature check_dict_unchanged
check_fit_idempotent check_fit_check_is_fitted check_fit2d_predict1d
""".split()  # noqa: SIM905
EXPECTED_FAILURES = dict.fromkeys(FITS_TABLES, "fits a table of numbers instead of images") | {
    "check_n_features_in": "images have a size and bands (size_, bands_), no number of features",
    "check_n_features_in_after_fitting": "the same",
    "check_classifiers_regression_target": "numbers between 0 and 1 are soft labels",
}


@parametrize_with_checks([Tabular()], expected_failed_checks=lambda estimator: EXPECTED_FAILURES)
@pytest.mark.filterwarnings("ignore")
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)
