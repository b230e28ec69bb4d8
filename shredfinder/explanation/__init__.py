"""What in an image an answer rests on."""

from shredfinder.explanation.grad_cam import grad_cam
from shredfinder.explanation.occlusion import occlusion_maps

__all__ = ["grad_cam", "occlusion_maps"]
