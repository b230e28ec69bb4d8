"""Find galaxy shreds in photometric catalogues.

The names below are loaded when they are first used, so that ``import shredfinder`` stays quick.
``shredfinder.__citation__`` is what to cite, as BibTeX.
"""

import importlib
from importlib import metadata, resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shredfinder.classifier import ShredClassifier
    from shredfinder.config import Conf, conf
    from shredfinder.imaging import Cutouts
    from shredfinder.table import ShredQTable, ShredTable, ShredTableMixin, add_p_cnn

    __bibtex__: str
    __citation__: str

__all__ = [
    "Conf",
    "Cutouts",
    "ShredClassifier",
    "ShredEnsemble",
    "ShredQTable",
    "ShredTable",
    "ShredTableMixin",
    "add_p_cnn",
    "conf",
]

__version__ = metadata.version("shredfinder")

_HOMES = {
    "Conf": "shredfinder.config",
    "Cutouts": "shredfinder.imaging",
    "ShredClassifier": "shredfinder.classifier",
    "ShredEnsemble": "shredfinder.models.ensemble",
    "ShredQTable": "shredfinder.table",
    "ShredTable": "shredfinder.table",
    "ShredTableMixin": "shredfinder.table",
    "add_p_cnn": "shredfinder.table",
    "conf": "shredfinder.config",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in ("__citation__", "__bibtex__"):
        return resources.files(__name__).joinpath("CITATION.bib").read_text(encoding="utf-8")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
