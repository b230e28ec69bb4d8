"""Example data, simulated fields with known truth, and cutouts degraded to another quality."""

from shredfinder.datasets.degrading import degrade_cutouts
from shredfinder.datasets.examples import (
    example_candidates,
    example_cutouts,
    example_field,
    example_hosts,
)
from shredfinder.datasets.shredded import make_shredded_field
from shredfinder.datasets.simulated_field import SimulatedField
from shredfinder.datasets.simulation import make_field

__all__ = [
    "SimulatedField",
    "degrade_cutouts",
    "example_candidates",
    "example_cutouts",
    "example_field",
    "example_hosts",
    "make_field",
    "make_shredded_field",
]
