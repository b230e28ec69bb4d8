"""Simulated fields with known truth, and cutouts degraded to another survey's quality."""

from shredfinder.datasets.degrading import degrade_cutouts
from shredfinder.datasets.shredded import make_shredded_field
from shredfinder.datasets.simulated_field import SimulatedField
from shredfinder.datasets.simulation import make_field

__all__ = ["SimulatedField", "degrade_cutouts", "make_field", "make_shredded_field"]
