"""Host galaxies: catalogues of them, and the candidates around them."""

from shredfinder.hosts.association import ShredAssociation, associate_shreds
from shredfinder.hosts.catalog import read_hosts
from shredfinder.hosts.distances import host_distances
from shredfinder.hosts.ellipse import in_host_ellipse, is_large_galaxy_entry, shreds_by_rule
from shredfinder.hosts.matching import match_hosts
from shredfinder.hosts.nsa import read_nsa

__all__ = [
    "ShredAssociation",
    "associate_shreds",
    "host_distances",
    "in_host_ellipse",
    "is_large_galaxy_entry",
    "match_hosts",
    "read_hosts",
    "read_nsa",
    "shreds_by_rule",
]
