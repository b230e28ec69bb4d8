"""What a trained network brings to images of another kind."""

import numpy as np

from shredfinder.surveys import get_wavelength

__all__ = ["adapt_weights"]


def adapt_weights(start, network, bands):
    """Fit a trained model's weights to a network for images in other bands.

    All layers but the first take the weights as they are. The first layer's kernels belong to
    bands: a band takes those of the band nearest to it in wavelength, and several bands that
    take the same kernels share their weight, so that an image which is equal in all of
    them gives the answer that it gave before.

    Parameters
    ----------
    start : TrainedModel
        The trained model.
    network : `keras.Model`
        A network of the same architecture, whose weights are only looked at for their shapes.
    bands : sequence of str
        Bands of its images, in the order of the channels.

    Returns
    -------
    weights : list of `~numpy.ndarray`
        Weights for the network.

    Raises
    ------
    ValueError
        If the weights don't fit, because architecture or image size differ.
    """
    weights = list(start.weights)
    known, bands = list(start.description.bands), list(bands)
    if known != bands:
        weights[0] = _share_kernels(weights[0], known, bands)
    shapes = [tuple(weight.shape) for weight in network.get_weights()]
    if [weight.shape for weight in weights] != shapes:
        raise ValueError(
            f"the model {start.description.name!r} ({start.description.architecture}, "
            f"{start.description.size[1]}×{start.description.size[0]} px) can't be gone on with "
            f"in a {network.name} network for images of {network.input_shape[2]}×"
            f"{network.input_shape[1]} px: the layers have other shapes. Give images of the size "
            "it was trained on, or train from scratch"
        )
    return weights


def _share_kernels(kernels, known, bands):
    """Share out kernels ``(height, width, inputs, filters)``, whose inputs repeat the bands."""
    # The compact network sees each band at several scales, one set of bands after the other.
    by_band = kernels.reshape(*kernels.shape[:2], -1, len(known), kernels.shape[3])
    nearest = [_find_nearest(band, known) for band in bands]
    shares = np.bincount(nearest, minlength=len(known))
    shared = np.stack([by_band[:, :, :, k] / shares[k] for k in nearest], axis=3)
    return shared.reshape(*kernels.shape[:2], -1, kernels.shape[3]).astype(kernels.dtype)


def _find_nearest(band, known):
    if band in known:
        return known.index(band)
    distances = [abs(np.log(get_wavelength(band) / get_wavelength(other))) for other in known]
    return int(np.argmin(distances))
