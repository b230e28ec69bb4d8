"""Plots, which need matplotlib (``pip install shredfinder[plot]``), and views for notebooks."""

from shredfinder.plotting.aladin import show_aladin
from shredfinder.plotting.curves import plot_precision_recall, plot_reliability, plot_roc
from shredfinder.plotting.explanation import plot_explanation
from shredfinder.plotting.fields import FieldPanel, FieldView, plot_field, plot_field_view
from shredfinder.plotting.galaxies import plot_merge, plot_merge_gallery
from shredfinder.plotting.gallery import plot_class_gallery, plot_gallery
from shredfinder.plotting.network import plot_history, plot_network
from shredfinder.plotting.scores import plot_binned_metrics, plot_p_cnn, plot_shred_fractions
from shredfinder.plotting.thumbnails import CutoutGrid, make_thumbnails

__all__ = [
    "CutoutGrid",
    "FieldPanel",
    "FieldView",
    "make_thumbnails",
    "plot_binned_metrics",
    "plot_class_gallery",
    "plot_explanation",
    "plot_field",
    "plot_field_view",
    "plot_gallery",
    "plot_history",
    "plot_merge",
    "plot_merge_gallery",
    "plot_network",
    "plot_p_cnn",
    "plot_precision_recall",
    "plot_reliability",
    "plot_roc",
    "plot_shred_fractions",
    "show_aladin",
]
