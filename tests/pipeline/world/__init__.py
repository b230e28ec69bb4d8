"""A simulated patch of sky: images, catalogues, hosts, and their servers."""

from tests.pipeline.world.catalogues import make_legacy, make_nsa, make_ps1, make_sdss
from tests.pipeline.world.servers import running_services
from tests.pipeline.world.sky import Sky, make_sky

__all__ = [
    "Sky",
    "make_legacy",
    "make_nsa",
    "make_ps1",
    "make_sdss",
    "make_sky",
    "running_services",
]
