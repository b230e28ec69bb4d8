"""Simulated fields whose truth is known, made without network."""

from shredfinder.datasets.field import SimulatedField
from shredfinder.datasets.simulation import make_field

__all__ = ["SimulatedField", "make_field"]
