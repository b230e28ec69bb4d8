"""From a patch of sky to a clean satellite catalogue: query, cuts, hosts, cutouts, scores."""

from shredfinder.pipeline.pool import build_pool
from shredfinder.pipeline.presets import fractions_by_preset, read_passing
from shredfinder.pipeline.report import write_report
from shredfinder.pipeline.result import SatelliteSearch
from shredfinder.pipeline.samp import send_samp
from shredfinder.pipeline.search import find_satellites
from shredfinder.pipeline.steps import StepFolder
from shredfinder.pipeline.view import make_field_view

__all__ = [
    "SatelliteSearch",
    "StepFolder",
    "build_pool",
    "find_satellites",
    "fractions_by_preset",
    "make_field_view",
    "read_passing",
    "send_samp",
    "write_report",
]
