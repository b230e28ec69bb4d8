"""Where the images of galaxies come from: a service, files, arrays or given cutouts."""

from __future__ import annotations

from typing import Any, TypeAlias

from shredfinder._utils.validation import PathLike
from shredfinder.cutouts import CutoutFetcher, CutoutService, LocalImages, available_services
from shredfinder.imaging import Cutouts, CutoutSequence
from shredfinder.imaging.cutouts import FLUX
from shredfinder.surveys import COLOR_MAPPINGS, DEFAULT_SURVEY, SURVEYS, get_survey

__all__ = ["ImageSource", "native_scale", "open_images"]

ImageSource: TypeAlias = (
    PathLike | CutoutFetcher | CutoutService | Cutouts | CutoutSequence | dict[str, Any]
)


def open_images(images: ImageSource | None) -> CutoutFetcher | Cutouts | CutoutSequence:
    """Return the source of the images.

    Parameters
    ----------
    images : str, path-like, dict, CutoutService, CutoutFetcher, Cutouts or CutoutSequence, optional
        As for `~shredfinder.hosts.merge_shreds`.

    Returns
    -------
    source : CutoutFetcher, Cutouts or CutoutSequence
        A fetcher of images of any size, or the given cutouts.

    Raises
    ------
    ValueError
        If the service does not exist or delivers no fluxes, or files hold no images.
    """
    if isinstance(images, (Cutouts, CutoutSequence)) and not isinstance(images, CutoutFetcher):
        _check_mapping(images[:1].color_mapping, "the cutouts are")
        return images
    if images is None or (isinstance(images, str) and images in {*available_services(), *SURVEYS}):
        images = _open_service(images)
    elif not isinstance(images, (CutoutFetcher, CutoutService)):
        images = LocalImages(images, color_mapping=FLUX)
    fetcher = images if isinstance(images, CutoutFetcher) else CutoutFetcher(images)
    service = fetcher.cutout_service
    _check_mapping(service.color_mapping, f"the service {service.name!r} delivers images")
    if service.color_mapping == FLUX and service.flux_pixel_scale is None:
        raise ValueError(
            f"the fluxes of the service {service.name!r} are not in nanomaggies, or its bands have "
            "different pixel scales: use 'legacy', 'sdss-frames', or a folder of images"
        )
    return fetcher


def _open_service(name):
    """Return a fetcher of a service's fluxes."""
    survey = get_survey(name or DEFAULT_SURVEY) if name is None or name in SURVEYS else None
    service = survey.service if survey is not None else name
    if service == "legacy":
        layer = survey.layer if survey is not None else None
        return CutoutFetcher("legacy", layer=layer, service_options={"image_format": "fits"})
    return CutoutFetcher("sdss-frames" if service == "sdss" else service)


def _check_mapping(mapping, what):
    if mapping != FLUX and mapping not in COLOR_MAPPINGS:
        raise ValueError(
            f"{what} of the colour mapping {mapping!r}, whose fluxes are unknown: pass images of "
            f"fluxes, or of one of the mappings {', '.join(COLOR_MAPPINGS)}"
        )


def native_scale(service: CutoutService) -> float:
    """Return the side in arcsec of the pixels to which a service's fluxes refer."""
    if service.color_mapping == FLUX:
        assert service.flux_pixel_scale is not None  # noqa: S101, by open_images
        return service.flux_pixel_scale
    return COLOR_MAPPINGS[str(service.color_mapping)].native_pixel_scale
