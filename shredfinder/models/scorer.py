"""An estimator that scores images by the model that it holds, and says how sure it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from astropy.table import Table

from shredfinder._utils.validation import check_count
from shredfinder.config import conf
from shredfinder.models.holder import ModelHolder
from shredfinder.models.priors import apply_prior, check_prior, estimate_prior
from shredfinder.models.sources import open_source, score_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shredfinder.imaging.cutouts import Cutouts, CutoutSequence, Images

__all__ = ["ImageScorer", "summarize_extras"]


class ImageScorer(ModelHolder):
    """A `ModelHolder` that scores images; it has the attributes ``symmetry`` and ``classes_``."""

    symmetry: str
    classes_: np.ndarray

    def open_images(
        self, X: Images, *, pixel_scale: float | None = None, bands: Sequence[str] | None = None
    ) -> Cutouts | CutoutSequence:
        """Take images as scoring does: bare arrays and files are of the model's own kind.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            Images, as for `predict_p_cnn`.
        pixel_scale, bands
            As for `predict_p_cnn`.

        Returns
        -------
        source : Cutouts or ImageFiles
            A sequence whose slices are `Cutouts`.
        """
        description = self._description
        return open_source(
            X,
            size=tuple(description.size),
            pixel_scale=description.pixel_scale if pixel_scale is None else pixel_scale,
            bands=tuple(description.bands if bands is None else bands),
            color_mapping=description.color_mapping if bands is None else None,
        )

    def score_images(
        self,
        X: Images,
        *,
        pixel_scale: float | None = None,
        bands: Sequence[str] | None = None,
        allow_other_colors: bool = False,
        batch_size: int | None = None,
        progress: bool | Literal["auto"] = False,
        std: bool = False,
        novelty: bool = False,
    ) -> Any:
        """Score images at the training mix, and keep what a prior is still to be applied to.

        Parameters
        ----------
        X, pixel_scale, bands, allow_other_colors, batch_size, progress
            As for `predict_p_cnn`.
        std, novelty : bool, optional
            As for `predict_details`.

        Returns
        -------
        p_cnn, flags : `~numpy.ndarray`
            As from `predict_p_cnn`.
        more : dict of `~numpy.ndarray`
            ``views`` and ``novelty`` as they were wanted, for ``summarize_extras``.
        """
        model = self._get_model()
        check_count(batch_size, "batch_size")
        size = model.description.size
        if std and size[0] != size[1]:
            raise ValueError(
                f"images of {size[1]}×{size[0]} px have no eight sides: their spread can't be told"
            )
        if novelty and model.novelty is None:
            raise ValueError(
                f"the model {model.description.name!r} has no statistics of its training images, "
                "so that novelty can't be told: fit it anew, on a hundred images or more"
            )
        return score_source(
            model,
            self.open_images(X, pixel_scale=pixel_scale, bands=bands),
            symmetry=self.symmetry,
            allow_other_colors=allow_other_colors,
            batch_size=batch_size or conf.batch_size,
            progress=progress,
            views=std,
            novelty=novelty,
        )

    def predict_p_cnn(
        self,
        X: Images,
        *,
        prior: float | Literal["estimate"] | None = None,
        pixel_scale: float | None = None,
        bands: Sequence[str] | None = None,
        allow_other_colors: bool = False,
        batch_size: int | None = None,
        progress: bool | Literal["auto"] = False,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score images, and say of those without an answer why.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            Cutouts, an array of shape ``(n, height, width, bands)``, uint8 or float in 0–1, or
            image files, which are read batch by batch.
        prior : float or "estimate", optional
            Fraction of shreds in the catalogue, to correct for; ``"estimate"`` takes it from
            the scores themselves. By default the answers hold at the training mix.
        pixel_scale : float, optional
            Pixel scale of bare arrays and files, where it is not the model's.
        bands : sequence of str, optional
            Bands of bare arrays and files, where they are not the model's.
        allow_other_colors : bool, optional
            Score another survey's colours too, and flag those rows.
        batch_size : int, optional
            Images scored at a time; by default ``shredfinder.conf.batch_size``.
        progress : bool or "auto", optional
            Show a progress bar.

        Returns
        -------
        p_cnn : `~numpy.ndarray`
            Probability of being a shred, float32 of shape ``(n,)``; NaN where there is no
            answer.
        flags : `~numpy.ndarray` of str
            A `~shredfinder.imaging.CutoutFlag` value for each row, of shape ``(n,)``.

        Raises
        ------
        shredfinder.exceptions.NotFittedError
            If the classifier is neither fitted nor loaded.
        shredfinder.exceptions.CutoutMismatchError
            If the images are not of the model's kind.
        """
        description = self._description
        if prior is not None:
            check_prior(prior, words=("estimate",))
        p_cnn, flags, _ = self.score_images(
            X,
            pixel_scale=pixel_scale,
            bands=bands,
            allow_other_colors=allow_other_colors,
            batch_size=batch_size,
            progress=progress,
        )
        p_cnn = apply_prior(p_cnn, prior, description.training_prior)
        return p_cnn.astype(np.float32), flags

    def predict_proba(
        self, X: Images, prior: float | Literal["estimate"] | None = None, **kwargs: Any
    ) -> np.ndarray:
        """Give the probabilities of galaxy and shred.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            Images, as for `predict_p_cnn`.
        prior : float or "estimate", optional
            Fraction of shreds in the catalogue; by default that of the training set.
        **kwargs
            Further arguments of `predict_p_cnn`.

        Returns
        -------
        probabilities : `~numpy.ndarray`
            Float32, of shape ``(n, 2)``, columns in the order of ``classes_``; rows without a
            usable image are NaN.
        """
        p_cnn, _ = self.predict_p_cnn(X, prior=prior, **kwargs)
        return np.stack([1 - p_cnn, p_cnn], axis=1)

    def predict(self, X: Images, **kwargs: Any) -> np.ma.MaskedArray:
        """Name the class of each source: a shred where `predict_proba` says 0.5 or more.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            Images, as for `predict_p_cnn`.
        **kwargs
            Further arguments of `predict_p_cnn`.

        Returns
        -------
        classes : `~numpy.ma.MaskedArray` of str
            Of shape ``(n,)``; masked where there is no answer.
        """
        p_cnn, _ = self.predict_p_cnn(X, **kwargs)
        classes = self.classes_[(p_cnn >= 0.5).astype(int)]
        unscored = np.isnan(p_cnn)
        if classes.dtype.kind == "U":
            # Code that drops the mask must not read a class there.
            classes[unscored] = ""
        return np.ma.array(classes, mask=unscored)

    def predict_details(
        self,
        X: Images,
        *,
        prior: float | Literal["estimate"] | None = None,
        std: bool = True,
        novelty: bool = True,
        **kwargs: Any,
    ) -> Table:
        """Score images, and say how far to trust each answer.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            Images, as for `predict_p_cnn`.
        prior : float or "estimate", optional
            As for `predict_p_cnn`.
        std : bool, optional
            Give the spread over the eight rotations and reflections. It takes eight looks at
            every source.
        novelty : bool, optional
            Give the distance from the training images. It takes about as long as a look.
        **kwargs
            Further arguments of `predict_p_cnn`.

        Returns
        -------
        details : `~astropy.table.Table`
            A row for each image: ``p_cnn`` and ``p_cnn_flag`` as from `predict_p_cnn`;
            ``p_cnn_std``, the standard deviation of the answers from eight sides, at the same
            prior; and ``p_cnn_novelty``, which is above 1 for one in a hundred images like the
            training images, and for images unlike them
            (`~shredfinder.models.NoveltyMeasure`). NaN where there is no answer.

        Raises
        ------
        ValueError
            If the model's file has no statistics of its training images, for ``novelty``, or its
            images are not square, for ``std``.

        Notes
        -----
        A small spread is no promise: a model may err in the same way from all sides. A large one
        is a warning: the answer hangs on what should not matter. Novelty sees levels, noise and
        sharpness, and nothing of what an image shows.

        Examples
        --------
        >>> import numpy as np
        >>> from shredfinder import ShredClassifier
        >>> from shredfinder.datasets import make_field
        >>> images = make_field(size=320, n_hosts=1, random_state=1).cutouts()[:3].images.copy()
        >>> images[2] = np.random.default_rng(0).integers(0, 255, (128, 128, 3))  # noise
        >>> details = ShredClassifier.load().predict_details(images)
        >>> details.colnames
        ['p_cnn', 'p_cnn_flag', 'p_cnn_std', 'p_cnn_novelty']
        >>> (details["p_cnn_novelty"] > 1).tolist()
        [False, False, True]
        """
        if prior is not None:
            check_prior(prior, words=("estimate",))
        p_cnn, flags, more = self.score_images(X, std=std, novelty=novelty, **kwargs)
        trained = self._description.training_prior
        columns = summarize_extras(p_cnn, more, prior, trained)
        p_cnn = apply_prior(p_cnn, prior, trained).astype(np.float32)
        return Table({"p_cnn": p_cnn, "p_cnn_flag": flags} | columns)


def summarize_extras(p_cnn, more, prior, training_prior):
    """Make the columns of what `ImageScorer.score_images` found beside the probabilities.

    Parameters
    ----------
    p_cnn : `~numpy.ndarray`
        Probabilities at the training mix, of shape ``(n,)``.
    more : dict
        ``views``, of shape ``(n, n_views)``, and ``novelty``, of shape ``(n,)``; either may be
        missing.
    prior, training_prior
        As for `~shredfinder.models.apply_prior`.

    Returns
    -------
    columns : dict of `~numpy.ndarray`
        Float32 by name: ``p_cnn_std`` and ``p_cnn_novelty``.
    """
    columns = {}
    if "views" in more:
        if isinstance(prior, str):
            prior = estimate_prior(p_cnn, training_prior)
        views = apply_prior(more["views"].astype(float), prior, training_prior)
        columns["p_cnn_std"] = views.std(axis=1).astype(np.float32)
    if "novelty" in more:
        columns["p_cnn_novelty"] = more["novelty"].astype(np.float32)
    return columns
