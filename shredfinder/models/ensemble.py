"""Several models that score as one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder.models.calibration import to_logits
from shredfinder.models.description import SYMMETRIES
from shredfinder.models.scorer import ImageScorer

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ShredEnsemble"]

# Entries of the description that must agree, so that all members take the same images.
_KIND = ("survey", "bands", "size", "pixel_scale", "color_mapping", "stretch")


class ShredEnsemble(ImageScorer):
    """Several fitted classifiers that score as one, by the mean of their logits.

    An ensemble scores wherever a `ShredClassifier` does, for example in tables. ``p_cnn_std`` is
    the scatter over the rotations and reflections of all members. An ensemble cannot be saved or
    calibrated: save and calibrate its members.

    Parameters
    ----------
    members : sequence of ShredClassifier
        Fitted or loaded classifiers for the same images, such as the models of
        `~shredfinder.evaluation.cross_validate`.
    symmetry : {"uncertain", "all", "none"}, optional
        As for `ShredClassifier`, by default that of the first member.

    Attributes
    ----------
    members : list of ShredClassifier
        The classifiers.
    classes_ : `~numpy.ndarray` of str
        ``["galaxy", "shred"]``: the columns of `predict_proba`.

    Raises
    ------
    shredfinder.exceptions.NotFittedError
        If a member is neither fitted nor loaded.
    ValueError
        If there are no members, or they take different images.

    Notes
    -----
    Errors that the members do not share cancel in the mean (Hansen & Salamon 1990, IEEE
    Transactions on Pattern Analysis and Machine Intelligence 12, 993). `shredfinder.lsdb` takes
    single models only.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder import ShredClassifier, ShredEnsemble
    >>> ensemble = ShredEnsemble([ShredClassifier.load(), ShredClassifier.load()])
    >>> ensemble.predict(np.full((1, 128, 128, 3), 32, dtype=np.uint8)).mask.tolist()
    [True]
    """

    def __init__(self, members: Sequence[ImageScorer], *, symmetry: str | None = None) -> None:
        self.members = list(members)
        if not self.members:
            raise ValueError("an ensemble needs at least one member, got none")
        models = [member._get_model() for member in self.members]
        for model in models[1:]:
            differing = [
                name
                for name in _KIND
                if getattr(model.description, name) != getattr(models[0].description, name)
            ]
            if differing:
                raise ValueError(
                    "the members of an ensemble must take the same images, but "
                    f"{model.description.name!r} differs from {models[0].description.name!r} in "
                    f"{', '.join(differing)}"
                )
        self.symmetry = self.members[0].symmetry if symmetry is None else symmetry
        if self.symmetry not in SYMMETRIES:
            raise ValueError(f"symmetry must be one of {', '.join(SYMMETRIES)}, got {symmetry!r}")
        self.model_: Any = _Models(models)
        # After model_, of which the description is read.
        self.survey = self._description.survey
        self.classes_ = np.array(self._description.classes)

    def __repr__(self) -> str:
        return f"<ShredEnsemble: {len(self.members)} members>"

    @property
    def n_parameters(self) -> int:
        """`int`: number of parameters of all members."""
        return sum(model.n_parameters for model in self.model_.models)


class _Models:
    """The part of `TrainedModel` that scoring uses, for several models."""

    def __init__(self, models):
        self.models = models
        self.description = models[0].description
        self.n_views = sum(model.n_views for model in models)

    @property
    def network(self):
        """Network of the first member, which gives the number of threads."""
        return self.models[0].network

    @property
    def novelty(self):
        """Novelty measure of the first member that has one."""
        return next((model.novelty for model in self.models if model.novelty), None)

    @property
    def sources(self):
        """Hashes of the training images of all members."""
        return np.unique(np.concatenate([model.sources for model in self.models]))

    @property
    def provenance(self):
        parts = [model.provenance for model in self.models]
        together = "".join(part["sha256"] for part in parts)
        names = list(dict.fromkeys(part["model"] for part in parts))
        return parts[0] | {
            "model": f"ensemble of {len(parts)}: {', '.join(names)}"[:200],
            "sha256": hashlib.sha256(together.encode()).hexdigest(),
        }

    def score(self, images, symmetry):
        p_cnn, p_other = zip(*(model.score(images, symmetry) for model in self.models), strict=True)
        return _average(p_cnn), _average_known(p_other)

    def score_views(self, images, symmetry):
        scored = [model.score_views(images, symmetry) for model in self.models]
        p_cnn, p_other, views = zip(*scored, strict=True)
        return _average(p_cnn), _average_known(p_other), np.concatenate(views, axis=1)


def _average(p_cnn):
    """Average probabilities in logits."""
    return 1 / (1 + np.exp(-np.mean([to_logits(p) for p in p_cnn], axis=0)))


def _average_known(p_other):
    """Average the probabilities of the members that know the class "other"; NaN if none does."""
    known = [p for p in p_other if not np.isnan(p).any()]
    return np.mean(known, axis=0) if known else p_other[0]
