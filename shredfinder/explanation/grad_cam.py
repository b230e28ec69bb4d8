"""Grad-CAM: which places of a network's last features the answer rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shredfinder.classifier import ShredClassifier
    from shredfinder.imaging.cutouts import Images

__all__ = ["grad_cam"]

_BATCH = 32


def grad_cam(classifier: ShredClassifier, X: Images, *, layer: str | None = None) -> np.ndarray:
    """Map what speaks for a shred by the gradients of a network's features.

    One look forwards and one backwards give the map of an image, where
    `occlusion_maps` takes hundreds. It needs the model as a Keras network with a backend, and a
    network in whose features a place is one place of the image: that of
    ``architecture="published"`` and not the compact one, which lays views of three scales on top
    of each other. That one is refused: use `occlusion_maps`.

    Parameters
    ----------
    classifier : ShredClassifier
        Fitted or loaded.
    X : Cutouts, array_like or sequence of path-like
        Images of ``n`` sources, as for `~shredfinder.ShredClassifier.predict_p_cnn`.
    layer : str, optional
        Name of the layer whose features are looked at; by default the last convolution.

    Returns
    -------
    maps : `~numpy.ndarray`
        Float32, of shape ``(n, height, width)``: the features at each place, weighted by the mean
        of the gradient of the logit (ln of the odds of being a shred), interpolated linearly.
        Positive speaks for a shred; the scale differs from image to image. NaN where there is no
        usable image.

    Raises
    ------
    shredfinder.exceptions.MissingDependencyError
        If no deep-learning backend is installed.
    shredfinder.exceptions.CutoutMismatchError
        If the images are not of the model's kind.
    ValueError
        If the network lays several views on top of each other, or has no such layer.

    Notes
    -----
    After Selvaraju et al. (2017, arXiv 1610.02391), without their last step, which drops what
    is negative: with two classes it speaks for the other one. Each feature is drawn at the middle
    of the pixels that it sees, which unpadded convolutions move inwards.

    Examples
    --------
    >>> from shredfinder.explanation import grad_cam
    >>> maps = grad_cam(published, cutouts)  # doctest: +SKIP
    """
    source = classifier.open_images(X)
    model = classifier.model_
    network = classifier.keras_network()
    chosen = _choose_layer(network, layer)
    places = _locate_features(network, chosen)
    height, width, _ = model.description.input_shape
    maps = np.full((len(source), height, width), np.nan, dtype=np.float32)
    for start in range(0, len(source), _BATCH):
        cutouts = source[start : start + _BATCH]
        model.description.check_cutouts(cutouts)
        rows = np.flatnonzero(cutouts.good)
        if len(rows):
            features, gradients = _differentiate(
                network, chosen, model.to_input(cutouts.images[rows])
            )
            weights = gradients.mean(axis=(1, 2), keepdims=True)
            for row, values in zip(rows, (features * weights).sum(axis=-1), strict=True):
                maps[start + row] = _interpolate(values, places, (height, width))
    return maps


def _choose_layer(network, name):
    convolutions = [layer for layer in network.layers if type(layer).__name__ == "Conv2D"]
    if name is None:
        if not convolutions:
            raise ValueError("the network has no convolution whose features could be looked at")
        return convolutions[-1]
    known = {layer.name: layer for layer in network.layers if len(layer.output.shape) == 4}
    if name not in known:
        raise ValueError(
            f"the network has no layer {name!r} with features: choose one of {', '.join(known)}"
        )
    return known[name]


def _locate_features(network, last):
    """Give the middle of the first feature, and the step from one to the next, in pixels."""
    places = []
    for axis in (0, 1):
        start, step = 0.0, 1
        for layer in network.layers:
            kind = type(layer).__name__
            if isinstance(layer.input, list) and len(layer.input) > 1:
                raise ValueError(
                    f"in this network a feature is no one place of the image: the layer "
                    f"{layer.name!r} joins several views; use "
                    "shredfinder.explanation.occlusion_maps"
                )
            if kind in ("Conv2D", "MaxPooling2D", "AveragePooling2D"):
                size = (layer.kernel_size if kind == "Conv2D" else layer.pool_size)[axis]
                # Padding keeps the first feature of a convolution where the first pixel is.
                if layer.padding == "valid":
                    start += step * (size - 1) / 2
                step *= layer.strides[axis]
            elif kind in ("Cropping2D", "ZeroPadding2D"):
                moved = (layer.cropping if kind == "Cropping2D" else layer.padding)[axis][0]
                start += step * moved * (1 if kind == "Cropping2D" else -1)
            if layer is last:
                break
        places.append((start, step))
    return places


def _interpolate(values, places, shape):
    from scipy.ndimage import map_coordinates

    pixels = [
        (np.arange(side) - start) / step for side, (start, step) in zip(shape, places, strict=True)
    ]
    return map_coordinates(values, np.meshgrid(*pixels, indexing="ij"), order=1, mode="nearest")


def _differentiate(network, layer, images):
    """Give a layer's features and the gradients of the logit with respect to them."""
    import keras

    body = keras.Model(network.inputs[0], layer.output)
    head = keras.Model(layer.output, network.outputs[0])

    def logit(features):
        logs = keras.ops.log(keras.ops.maximum(head(features, training=False), 1e-30))
        return keras.ops.sum(logs[:, 1] - logs[:, 0])

    features = body(keras.ops.convert_to_tensor(images), training=False)
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        features = features.detach().requires_grad_(True)
        (gradients,) = torch.autograd.grad(logit(features), features)
        features = features.detach()
    elif backend == "jax":
        import jax

        gradients = jax.grad(logit)(features)
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(features)
            value = logit(features)
        gradients = tape.gradient(value, features)
    return keras.ops.convert_to_numpy(features), keras.ops.convert_to_numpy(gradients)
