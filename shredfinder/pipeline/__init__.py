"""Find satellites around a host: query, cuts, hosts, cutouts, scores, report."""

from shredfinder.pipeline.merged_sample import MergedSample, merge_sample
from shredfinder.pipeline.pictures import make_field_view
from shredfinder.pipeline.pool import build_pool
from shredfinder.pipeline.preset_fractions import fractions_by_preset, read_passing
from shredfinder.pipeline.samp import send_samp
from shredfinder.pipeline.satellites import SatelliteSearch
from shredfinder.pipeline.search import find_satellites
from shredfinder.pipeline.steps import StepFolder

__all__ = [
    "MergedSample",
    "SatelliteSearch",
    "StepFolder",
    "build_pool",
    "find_satellites",
    "fractions_by_preset",
    "make_field_view",
    "merge_sample",
    "read_passing",
    "send_samp",
]
