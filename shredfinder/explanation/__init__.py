"""Maps of the parts of an image that drive its score."""

from shredfinder.explanation.grad_cam import grad_cam
from shredfinder.explanation.occlusion import occlusion_maps

__all__ = ["grad_cam", "occlusion_maps"]
