"""The base of all classifiers: score images in batches, at any prior."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from astropy.table import Table

from shredfinder import exceptions
from shredfinder._utils.runtime import progress_bar
from shredfinder._utils.validation import check_count
from shredfinder.config import conf
from shredfinder.imaging import CutoutFlag, Cutouts, as_cutouts
from shredfinder.models.calibration import Scores
from shredfinder.models.description import LINEAR, SYMMETRIES
from shredfinder.models.dust import check_ebv, correct_batch
from shredfinder.models.model import TrainedModel
from shredfinder.models.priors import apply_prior, check_prior
from shredfinder.models.sources import hash_images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike

    from shredfinder.imaging.cutouts import CutoutSequence, Images

__all__ = ["ImageScorer"]

# Smaller batches would cost more in calls than a second thread gains.
_SMALLEST_BATCH = 16


class ImageScorer:
    """An estimator that scores images with its model, the attribute ``model_``."""

    model_: TrainedModel
    classes_: np.ndarray
    symmetry: str
    survey: str

    @property
    def _is_fitted(self):
        return hasattr(self, "model_")

    def _get_model(self) -> TrainedModel:
        # scikit-learn's convention: attributes with an underscore exist only after `fit`.
        if not hasattr(self, "model_"):
            raise exceptions.NotFittedError(
                "this classifier has no model yet: call fit, or use ShredClassifier.load() for "
                "the embedded model"
            )
        return self.model_

    @property
    def _description(self):
        return self._get_model().description

    @property
    def provenance(self) -> dict[str, str]:
        """`dict` of str: name, version, architecture, survey and hash of the model."""
        return self._get_model().provenance

    @property
    def size_(self) -> tuple[int, ...]:
        """`tuple` of int: height and width of the model's images in pixels."""
        return tuple(self._description.size)

    @property
    def pixel_scale_(self) -> float:
        """`float`: pixel scale of the model's images in arcsec per pixel."""
        return self._description.pixel_scale

    @property
    def bands_(self) -> tuple[str, ...]:
        """`tuple` of str: bands of the model's images in channel order."""
        return tuple(self._description.bands)

    @property
    def color_mapping_(self) -> str | None:
        """`str` or None: mapping from fluxes to the values of the model's images."""
        return self._description.color_mapping

    def open_images(
        self, X: Images, *, pixel_scale: float | None = None, bands: Sequence[str] | None = None
    ) -> Cutouts | CutoutSequence:
        """Convert any supported input to a sequence of cutouts.

        Bare arrays and files are taken to be images like the model's.

        Parameters
        ----------
        X, pixel_scale, bands
            As for `predict_p_cnn`.

        Returns
        -------
        cutouts : Cutouts or CutoutSequence
            The images; files are not yet read.
        """
        description = self._get_model().description
        return as_cutouts(
            X,
            size=tuple(description.size),
            pixel_scale=description.pixel_scale if pixel_scale is None else pixel_scale,
            bands=tuple(description.bands if bands is None else bands),
            # Bands given by the user say nothing about how the colours were mapped.
            color_mapping=description.color_mapping if bands is None else None,
        )

    def find_training_images(self, X: Images) -> np.ndarray:
        """Find the images that the model was trained on, whose scores are too good.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            Images of n sources, as for `predict_p_cnn`.

        Returns
        -------
        found : `~numpy.ndarray` of bool
            Whether an image has exactly the pixels of a training image, of shape ``(n,)``. The
            training images of a model that it was fine-tuned from count. All are False for models
            of files without hashes of their training images.
        """
        model = self._get_model()
        source = self.open_images(X)
        found = np.zeros(len(source), dtype=bool)
        if len(model.sources):
            for start in range(0, len(source), conf.batch_size):
                batch = source[start : start + conf.batch_size]
                hashes = hash_images(batch.images, fluxes=model.description.stretch != LINEAR)
                found[start : start + len(batch)] = batch.good & np.isin(hashes, model.sources)
        return found

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
        other: bool = False,
        robust: bool = False,
        ebv: ArrayLike | None = None,
    ) -> Scores:
        """Score images at the training set's fraction of shreds.

        Images are read and scored batch by batch in ``model_.network.threads`` threads, so that
        memory does not grow with their number.

        Parameters
        ----------
        X, pixel_scale, bands, allow_other_colors, batch_size, progress
            As for `predict_p_cnn`.
        std, novelty, other, robust : bool, optional
            As for `predict_details`.
        ebv : float or array_like, optional
            As for `predict_p_cnn`.

        Returns
        -------
        scores : ``Scores``
            Probabilities, flags and, on request, the values behind the optional columns.
        """
        model = self._get_model()
        # The attribute may have been changed since the model was fitted or loaded.
        if self.symmetry not in SYMMETRIES:
            raise ValueError(
                f"symmetry must be one of {', '.join(SYMMETRIES)}, got {self.symmetry!r}"
            )
        if std and model.description.size[0] != model.description.size[1]:
            height, width = model.description.size
            raise ValueError(f"p_cnn_std needs square images, got {width}×{height} px")
        if novelty and model.novelty is None:
            raise ValueError(
                f"the model {model.description.name!r} has no statistics of its training images, "
                "which p_cnn_novelty needs: fit it again with at least 100 images"
            )
        limit = model.description.other_limit
        if other and limit is None:
            raise ValueError(
                f"the model {model.description.name!r} has no class for sources that are neither "
                "galaxy nor shred, which p_other needs: use the embedded model"
            )
        source = self.open_images(X, pixel_scale=pixel_scale, bands=bands)
        n = len(source)
        reddening = check_ebv(ebv, n, model.description)
        flags = np.full(n, CutoutFlag.GOOD.value, dtype="U16")
        scores = Scores(np.full(n, np.nan), flags, model.description.training_prior)
        if std:
            scores.optional["views"] = np.full((n, model.n_views), np.nan, np.float32)
        if novelty:
            scores.optional["novelty"] = np.full(n, np.nan, np.float32)
        if other:
            scores.optional["other"] = np.full(n, np.nan, np.float32)
        second = None
        if robust:
            second = TrainedModel.read("robust")
            scores.optional["robust"] = np.full(n, np.nan, np.float32)

        def score(start: int, batch: Cutouts) -> int:
            """Score a batch into its rows; threads write to different rows."""
            rows = np.arange(start, start + len(batch))
            other_colors = model.description.check_cutouts(
                batch, allow_other_colors=allow_other_colors
            )
            good = batch.good
            # The batch may be a view of the caller's cutouts, so its flags are copied.
            reasons, images = batch.flags.copy(), batch.images[good]
            if not len(images):
                scores.flags[rows] = reasons
                return len(rows)
            if reddening is not None:
                images = correct_batch(images, reddening[rows[good]], batch, model.description)
            if std:
                p_cnn, p_other, views = model.score_views(images, self.symmetry)
                scores.optional["views"][rows[good]] = views
            else:
                p_cnn, p_other = model.score(images, self.symmetry)
            if other:
                scores.optional["other"][rows[good]] = p_other
            if novelty and model.novelty is not None:
                scores.optional["novelty"][rows[good]] = model.novelty.measure(images)
            if second is not None:
                second.description.check_cutouts(batch, allow_other_colors=allow_other_colors)
                p_robust, _ = second.score(images, "none")
                scores.optional["robust"][rows[good]] = apply_prior(
                    p_robust, scores.training_prior, second.description.training_prior
                )
            # False for models without the class, whose p_other is NaN.
            not_a_galaxy = p_other > (1 if limit is None else limit)
            scores.p_cnn[rows[good]] = np.where(not_a_galaxy, np.nan, p_cnn)
            if other_colors:
                reasons[good] = CutoutFlag.OTHER_COLORS
            reasons[np.flatnonzero(good)[not_a_galaxy]] = CutoutFlag.NOT_A_GALAXY
            # A network whose training diverged returns NaN for usable images.
            unscored = np.isnan(scores.p_cnn[rows]) & (reasons == CutoutFlag.GOOD)
            reasons[unscored] = CutoutFlag.NOT_SCORED
            scores.flags[rows] = reasons
            return len(rows)

        if batch_size is not None:
            check_count(batch_size, "batch_size")
        with progress_bar(total=n, progress=progress, desc="scoring", unit="source") as bar:
            size = batch_size or conf.batch_size
            for n_rows in _map_batches(score, source, size, model.network.threads):
                bar.update(n_rows)
        return scores

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
        ebv: ArrayLike | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute ``p_cnn`` and the reasons why images are unscored.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            Cutouts; an array of shape ``(n, height, width, bands)``, uint8 or float in 0–1; or
            image files, which are read batch by batch. A single image is a batch of one.
        prior : float or "estimate", optional
            Fraction of shreds in the catalogue; ``"estimate"`` estimates it from the scores. By
            default that of the training set.
        pixel_scale : float, optional
            Pixel scale of bare arrays and files in arcsec per pixel, by default the model's.
        bands : sequence of str, optional
            Bands of bare arrays and files, by default the model's.
        allow_other_colors : bool, optional
            Score the colours of other surveys too, and flag these rows.
        batch_size : int, optional
            Batch size, by default ``shredfinder.conf.batch_size``.
        progress : bool or "auto", optional
            Show a progress bar.
        ebv : float or array_like, optional
            E(B−V) of Schlegel, Finkbeiner & Davis (1998) in mag, one value or of shape ``(n,)``,
            for which colour images are corrected (`~shredfinder.imaging.deredden_images`). Dust in
            the Milky Way hides shreds: above 0.1 mag more of them are missed without it.

        Returns
        -------
        p_cnn : `~numpy.ndarray`
            Probabilities of being a shred, float32 of shape ``(n,)``; NaN for unscored images.
        flags : `~numpy.ndarray` of str
            `~shredfinder.imaging.CutoutFlag` values of shape ``(n,)``.

        Raises
        ------
        shredfinder.exceptions.NotFittedError
            If the classifier is neither fitted nor loaded.
        shredfinder.exceptions.CutoutMismatchError
            If the images differ from the model's in size, scale, bands or colours.
        ValueError
            If E(B−V) is negative or not finite, or the images are fluxes, which cannot be
            corrected.
        """
        if prior is not None:
            check_prior(prior, words=("estimate",))
        scores = self.score_images(
            X,
            pixel_scale=pixel_scale,
            bands=bands,
            allow_other_colors=allow_other_colors,
            batch_size=batch_size,
            progress=progress,
            ebv=ebv,
        )
        fraction = scores.estimate_prior() if prior == "estimate" else prior
        return scores.at_prior(fraction)["p_cnn"], scores.flags

    def predict_proba(
        self, X: Images, prior: float | Literal["estimate"] | None = None, **kwargs: Any
    ) -> np.ndarray:
        """Compute the probabilities of galaxy and shred.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            Images, as for `predict_p_cnn`.
        prior : float or "estimate", optional
            Fraction of shreds in the catalogue, by default that of the training set.
        **kwargs
            Further arguments of `predict_p_cnn`.

        Returns
        -------
        probabilities : `~numpy.ndarray`
            Float32 of shape ``(n, 2)``, columns in the order of ``classes_``; NaN for unscored
            images.
        """
        p_cnn, _ = self.predict_p_cnn(X, prior=prior, **kwargs)
        return np.stack([1 - p_cnn, p_cnn], axis=1)

    def predict(self, X: Images, **kwargs: Any) -> np.ma.MaskedArray:
        """Predict the class of each source: shred for a probability of 0.5 or more.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            Images, as for `predict_p_cnn`.
        **kwargs
            Further arguments of `predict_p_cnn`.

        Returns
        -------
        classes : `~numpy.ma.MaskedArray`
            Classes of shape ``(n,)``; masked for unscored images.
        """
        p_cnn, _ = self.predict_p_cnn(X, **kwargs)
        # NaN >= 0.5 is False: unscored rows get a class here, and are masked below.
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
        other: bool = False,
        robust: bool = False,
        **kwargs: Any,
    ) -> Table:
        """Compute ``p_cnn`` with its scatter and the distance from the training set.

        Parameters
        ----------
        X : Cutouts, array_like or sequence of path-like
            Images, as for `predict_p_cnn`.
        prior : float or "estimate", optional
            As for `predict_p_cnn`.
        std : bool, optional
            Compute the scatter over the 8 rotations and reflections. It takes 8 forward passes
            per source.
        novelty : bool, optional
            Compute the distance from the training set. It costs about one forward pass.
        other : bool, optional
            Give the probability of being neither galaxy nor shred.
        robust : bool, optional
            Give the score of the package's model for poorer images, at the cost of another forward
            pass. Where the two models differ, look at the image.
        **kwargs
            Further arguments of `predict_p_cnn`.

        Returns
        -------
        details : `~astropy.table.Table`
            One row per image: ``p_cnn`` and ``p_cnn_flag`` as from `predict_p_cnn`;
            ``p_cnn_std``, the standard deviation over the 8 rotations/reflections at the same
            prior; ``p_cnn_novelty``, above 1 for images unlike the training set and for 1 % of
            images like it (`~shredfinder.models.NoveltyMeasure`); ``p_other``; and
            ``p_cnn_robust``. NaN for unscored images.

        Raises
        ------
        ValueError
            If the model has no statistics of its training images (``novelty``), its images are
            not square (``std``), or it has no such class (``other``).

        Notes
        -----
        A small scatter is no guarantee: a model may be wrong in the same way for all rotations. A
        large scatter is a warning, since orientation should not matter. Novelty measures
        brightness levels, noise and sharpness, not the content of an image.

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
        scores = self.score_images(
            X, std=std, novelty=novelty, other=other, robust=robust, **kwargs
        )
        fraction = scores.estimate_prior() if prior == "estimate" else prior
        return Table(scores.at_prior(fraction))


def _map_batches(
    function: Callable[[int, Cutouts], int],
    source: Cutouts | CutoutSequence,
    batch_size: int,
    n_threads: int,
) -> Iterator[int]:
    """Call a function with the first row and the cutouts of each batch; yield its results.

    Each thread reads a batch and scores it, so that all processors are busy until the end. If a
    source does not support several threads, the calling thread reads ahead of the others. Only a
    few batches are in memory at a time.
    """
    # A short input is divided between the threads as well.
    # -(-a // b) rounds a / b up.
    size = min(batch_size, max(_SMALLEST_BATCH, -(-len(source) // n_threads)))
    concurrent = isinstance(source, Cutouts) or source.concurrent
    waiting: deque = deque()
    executor = ThreadPoolExecutor(n_threads, thread_name_prefix="shredfinder-score")
    try:
        # An empty input makes one empty batch, so that its kind is checked too.
        for start in range(0, max(len(source), 1), size):
            if concurrent:
                future = executor.submit(lambda i: function(i, source[i : i + size]), start)
            else:
                # The slice is read here, in the calling thread.
                future = executor.submit(function, start, source[start : start + size])
            waiting.append(future)
            # Two batches per thread keep all of them busy.
            if len(waiting) > 2 * n_threads:
                yield waiting.popleft().result()
        for future in waiting:
            yield future.result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
