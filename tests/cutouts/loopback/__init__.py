"""A local server that imitates the cutout services with a simulated sky."""

from tests.cutouts.loopback.faults import FAULTS, Faults
from tests.cutouts.loopback.server import LoopbackServer
from tests.cutouts.loopback.sky import render_colors, render_fluxes

__all__ = ["FAULTS", "Faults", "LoopbackServer", "render_colors", "render_fluxes"]
