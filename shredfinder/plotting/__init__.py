"""Figures, which need matplotlib (``pip install shredfinder[plot]``), and views for notebooks."""

from shredfinder.plotting.aladin import show_aladin
from shredfinder.plotting.explanation import plot_explanation
from shredfinder.plotting.field import plot_field
from shredfinder.plotting.fractions import plot_shred_fractions
from shredfinder.plotting.gallery import plot_gallery
from shredfinder.plotting.panels import plot_field_view
from shredfinder.plotting.thumbnails import CutoutGrid, make_thumbnails

__all__ = [
    "CutoutGrid",
    "make_thumbnails",
    "plot_explanation",
    "plot_field",
    "plot_field_view",
    "plot_gallery",
    "plot_shred_fractions",
    "show_aladin",
]
