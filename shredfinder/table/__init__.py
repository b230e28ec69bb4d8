"""Tables whose rows get the probability of being a shred."""

from shredfinder._utils.positions import find_position, get_positions
from shredfinder.table.files import (
    check_writing,
    identify_format,
    read_catalogue,
    write_catalogue,
)
from shredfinder.table.patterns import find_image_files
from shredfinder.table.scoring import add_p_cnn
from shredfinder.table.showing import show_cutouts
from shredfinder.table.tables import ShredQTable, ShredTable, ShredTableMixin

__all__ = [
    "ShredQTable",
    "ShredTable",
    "ShredTableMixin",
    "add_p_cnn",
    "check_writing",
    "find_image_files",
    "find_position",
    "get_positions",
    "identify_format",
    "read_catalogue",
    "show_cutouts",
    "write_catalogue",
]
