"""Grad-CAM maps: the parts of an image that drive its score, from a network's gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from shredfinder.classifier import ShredClassifier
    from shredfinder.imaging.cutouts import Images

__all__ = ["grad_cam"]

_BATCH = 32


def grad_cam(classifier: ShredClassifier, X: Images, *, layer: str | None = None) -> np.ndarray:
    """Map the evidence for a shred in each image, from the gradients of a network's features.

    A map takes one forward and one backward pass per image, where `occlusion_maps` takes
    hundreds of forward passes. It needs a Keras backend, and a network whose feature maps
    correspond to positions in the image: ``architecture="published"``. The compact architecture
    stacks views of three scales, and is refused: use `occlusion_maps`.

    Parameters
    ----------
    classifier : ShredClassifier
        Fitted or loaded.
    X : Cutouts, array_like or sequence of path-like
        Images of ``n`` sources, as for `~shredfinder.ShredClassifier.predict_p_cnn`.
    layer : str, optional
        Name of the layer of the features; by default the last convolution.

    Returns
    -------
    maps : `~numpy.ndarray`
        Float32, of shape ``(n, height, width)``: the sum of the features at each position, each
        weighted by the mean gradient of the logit (log odds of being a shred), interpolated
        linearly. Positive values are evidence for a shred. The scale differs between images.
        NaN for unusable images.

    Raises
    ------
    shredfinder.exceptions.MissingDependencyError
        If no deep-learning backend is installed.
    shredfinder.exceptions.CutoutMismatchError
        If the images do not match the model.
    ValueError
        If the network stacks several views, or has no such layer.

    Notes
    -----
    After Selvaraju et al. (2017, arXiv 1610.02391), but without clipping negative values, which
    are evidence for the other of the two classes. Each feature is placed at the centre of its
    receptive field, which convolutions without padding shift inwards.

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
            # One weight per feature channel: the gradient averaged over the positions.
            weights = gradients.mean(axis=(1, 2), keepdims=True)
            for row, values in zip(rows, (features * weights).sum(axis=-1), strict=True):
                maps[start + row] = _interpolate(values, places, (height, width))
    return maps


def _choose_layer(network, name):
    convolutions = [layer for layer in network.layers if type(layer).__name__ == "Conv2D"]
    if name is None:
        if not convolutions:
            raise ValueError("the network has no convolution layer: name another layer=")
        return convolutions[-1]
    known = {layer.name: layer for layer in network.layers if len(layer.output.shape) == 4}
    if name not in known:
        raise ValueError(
            f"the network has no feature layer {name!r}: choose one of {', '.join(known)}"
        )
    return known[name]


def _locate_features(network, last):
    """Return, for each axis, the centre of the first feature and the feature spacing in pixels."""
    places = []
    for axis in (0, 1):
        start, step = 0.0, 1
        for layer in network.layers:
            kind = type(layer).__name__
            if isinstance(layer.input, list) and len(layer.input) > 1:
                raise ValueError(
                    f"the features of this network do not correspond to positions in the image, "
                    f"because the layer {layer.name!r} joins several views: use "
                    "shredfinder.explanation.occlusion_maps"
                )
            if kind in ("Conv2D", "MaxPooling2D", "AveragePooling2D"):
                size = (layer.kernel_size if kind == "Conv2D" else layer.pool_size)[axis]
                # With padding, the first feature stays at the position of the first pixel.
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

    # Coordinates of each pixel in units of the feature spacing.
    pixels = [
        (np.arange(side) - start) / step for side, (start, step) in zip(shape, places, strict=True)
    ]
    return map_coordinates(values, np.meshgrid(*pixels, indexing="ij"), order=1, mode="nearest")


def _differentiate(network, layer, images):
    """Return a layer's features and the gradients of the logit with respect to them."""
    import keras

    # Split the network at the layer, and differentiate its second part.
    # `body` makes the features, `head` the probabilities.
    body = keras.Model(network.inputs[0], layer.output)
    head = keras.Model(layer.output, network.outputs[0])

    # Summing over the images gives each image's own gradient, since images are independent.
    def logit(features):
        # The softmax output may underflow to 0, whose logarithm is infinite.
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
