"""Host galaxies: catalogues of them, and the candidates around them."""

from shredfinder.hosts.association import ShredAssociation, associate_shreds
from shredfinder.hosts.catalog import open_hosts, read_hosts
from shredfinder.hosts.distances import host_distances
from shredfinder.hosts.ellipse import in_host_ellipse, is_large_galaxy_entry, shreds_by_rule
from shredfinder.hosts.matching import match_hosts
from shredfinder.hosts.nsa import read_nsa
from shredfinder.hosts.surroundings import find_host, hosts_in_reach, tie_to_hosts

__all__ = [
    "ShredAssociation",
    "associate_shreds",
    "find_host",
    "host_distances",
    "hosts_in_reach",
    "in_host_ellipse",
    "is_large_galaxy_entry",
    "match_hosts",
    "open_hosts",
    "read_hosts",
    "read_nsa",
    "shreds_by_rule",
    "tie_to_hosts",
]
