"""Host galaxies: their catalogues, and the candidates around them."""

from shredfinder.hosts.association import ShredAssociation, associate_shreds
from shredfinder.hosts.catalog import read_hosts
from shredfinder.hosts.distances import host_distances
from shredfinder.hosts.ellipse import in_host_ellipse, is_large_galaxy_entry, shreds_by_rule
from shredfinder.hosts.growth import GalaxyLight
from shredfinder.hosts.matching import match_hosts
from shredfinder.hosts.merging import merge_shreds
from shredfinder.hosts.nsa import read_nsa
from shredfinder.hosts.parents import find_parents
from shredfinder.hosts.photometry import measure_galaxies
from shredfinder.hosts.saga_rule import compare_removals, saga_shreds
from shredfinder.hosts.selection import find_host, join_hosts, select_hosts

__all__ = [
    "GalaxyLight",
    "ShredAssociation",
    "associate_shreds",
    "compare_removals",
    "find_host",
    "find_parents",
    "host_distances",
    "in_host_ellipse",
    "is_large_galaxy_entry",
    "join_hosts",
    "match_hosts",
    "measure_galaxies",
    "merge_shreds",
    "read_hosts",
    "read_nsa",
    "saga_shreds",
    "select_hosts",
    "shreds_by_rule",
]
