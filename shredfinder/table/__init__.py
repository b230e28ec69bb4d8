"""Tables whose rows get the probability of being a shred."""

from shredfinder.table.files import (
    check_writing,
    identify_format,
    read_catalogue,
    write_catalogue,
)
from shredfinder.table.patterns import find_image_files
from shredfinder.table.scoring import add_p_cnn
from shredfinder.table.showing import show_cutouts
from shredfinder.table.streaming import ScoredCatalogue, classify_catalogue, get_state_folder
from shredfinder.table.tables import ShredQTable, ShredTable, ShredTableMixin

__all__ = [
    "ScoredCatalogue",
    "ShredQTable",
    "ShredTable",
    "ShredTableMixin",
    "add_p_cnn",
    "check_writing",
    "classify_catalogue",
    "find_image_files",
    "get_state_folder",
    "identify_format",
    "read_catalogue",
    "show_cutouts",
    "write_catalogue",
]
