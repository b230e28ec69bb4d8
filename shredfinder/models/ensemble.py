"""Several models that answer as one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from shredfinder.models.calibration import to_logits
from shredfinder.models.scorer import ImageScorer

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["ShredEnsemble"]

# What must be the same for models to look at the same images.
_KIND = ("survey", "bands", "size", "pixel_scale", "color_mapping", "stretch")


class ShredEnsemble(ImageScorer):
    """Several fitted classifiers that score as one: the mean of their logits.

    It scores wherever a `ShredClassifier` does, in tables among others. ``p_cnn_std`` is then the
    spread over the sides of the image and over the members. It has no file, network or
    calibration of its own: save and calibrate its members.

    Parameters
    ----------
    members : sequence of ShredClassifier
        Fitted or loaded classifiers for one kind of images, such as the models of
        `~shredfinder.evaluation.cross_validate`.
    symmetry : {"uncertain", "all", "none"}, optional
        As for `ShredClassifier`; by default that of the first member.

    Attributes
    ----------
    members : list of ShredClassifier
        The classifiers.
    classes_ : `~numpy.ndarray` of str
        ``["galaxy", "shred"]``: the order of `predict_proba`'s columns.

    Raises
    ------
    shredfinder.exceptions.NotFittedError
        If a member is neither fitted nor loaded.
    ValueError
        If there are no members, or they take different images.

    Notes
    -----
    Errors that the members do not share fall out of the mean (Hansen & Salamon 1990, IEEE
    Transactions on Pattern Analysis and Machine Intelligence 12, 993). An ensemble is not saved as
    one: save its members. The lsdb room takes single models only.

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
            raise ValueError("an ensemble needs at least one member")
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
        if self.symmetry not in ("none", "uncertain", "all"):
            raise ValueError(f"symmetry must be none, uncertain or all, not {symmetry!r}")
        # It answers all that scoring asks of a model.
        self.model_ = _Models(models)  # type: ignore[assignment]
        self.classes_ = np.array(self._description.classes)

    def __repr__(self) -> str:
        return f"<ShredEnsemble: {len(self.members)} members>"

    @property
    def survey(self) -> str:
        """`str`: survey of the images."""
        return self._description.survey

    @property
    def n_parameters(self) -> int:
        """`int`: number of parameters of all members."""
        return sum(model.n_parameters for model in self.model_.models)  # type: ignore[attr-defined]


class _Models:
    """What an `ImageScorer` asks of its model, asked of several."""

    def __init__(self, models):
        self.models = models
        self.description = models[0].description

    @property
    def network(self):
        """The first member's, for the number of threads."""
        return self.models[0].network

    @property
    def n_views(self):
        return sum(model.n_views for model in self.models)

    @property
    def novelty(self):
        """The first member's that has one."""
        return next((model.novelty for model in self.models if model.novelty), None)

    @property
    def provenance(self):
        parts = [model.provenance for model in self.models]
        together = "".join(part["sha256"] for part in parts)
        names = list(dict.fromkeys(part["model"] for part in parts))
        return parts[0] | {
            "model": f"ensemble of {len(parts)}: {', '.join(names)}"[:200],
            "sha256": hashlib.sha256(together.encode()).hexdigest(),
        }

    def score(self, images, symmetry, *, views=False):
        answers = [model.score(images, symmetry, views=views) for model in self.models]
        logits = [to_logits(answer[0] if views else answer) for answer in answers]
        p_cnn = 1 / (1 + np.exp(-np.mean(logits, axis=0)))
        if not views:
            return p_cnn
        return p_cnn, np.concatenate([sides for _, sides in answers], axis=1)
