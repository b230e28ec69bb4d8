"""Local servers that imitate the catalogue services and run the queries they receive."""

from tests.catalogs.loopback.database import SkyDatabase
from tests.catalogs.loopback.server import CatalogServer

__all__ = ["CatalogServer", "SkyDatabase"]
