"""Figures; they need matplotlib (``pip install shredfinder[plot]``)."""

from shredfinder.plotting.field import plot_field

__all__ = ["plot_field"]
