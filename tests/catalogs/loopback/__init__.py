"""Stand-ins for the catalogue services, on a port of this machine, that run what they are sent."""

from tests.catalogs.loopback.database import SkyDatabase
from tests.catalogs.loopback.server import CatalogServer

__all__ = ["CatalogServer", "SkyDatabase"]
