"""Find galaxy shreds in photometric catalogues.

Add to a table the probability ``p_cnn`` that each row is a shred, a piece of a galaxy that the
catalogue lists as a separate galaxy::

    from shredfinder import ShredTable

    t = ShredTable.read("candidates.fits")
    t.add_p_cnn()                        # cutouts are fetched by position
    satellites = t[t["p_cnn"] < 0.5]     # unscored rows (NaN) are never selected

The classifier works on images alone, like any classifier of scikit-learn::

    from shredfinder import ShredClassifier

    p = ShredClassifier.load().predict_proba(["a.png", "b.png"])

Subpackages: `bulk` (catalogue files of any length), `catalogs`, `cuts`, `hosts`, `cutouts`,
`pipeline` (from a host to its satellites), `training`, `evaluation`, `explanation`, `labelling`,
`plotting`, `datasets` (simulated fields), `imaging`, `models`, `surveys`, `table`, `lsdb`.
All names are loaded on first use. ``shredfinder.__citation__`` is the BibTeX entry to cite.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shredfinder.classifier import ShredClassifier
    from shredfinder.config import Conf, conf
    from shredfinder.imaging import Cutouts
    from shredfinder.models.ensemble import ShredEnsemble
    from shredfinder.table import ShredQTable, ShredTable, ShredTableMixin, add_p_cnn

    __bibtex__: str
    __citation__: str
    __version__: str

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
_SUBPACKAGES = (
    "bulk",
    "catalogs",
    "cutouts",
    "cuts",
    "datasets",
    "evaluation",
    "exceptions",
    "explanation",
    "hosts",
    "imaging",
    "labelling",
    "lsdb",
    "models",
    "pipeline",
    "plotting",
    "surveys",
    "table",
    "training",
)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _SUBPACKAGES:
        return importlib.import_module(f"shredfinder.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("shredfinder")
    if name in ("__citation__", "__bibtex__"):
        from importlib.resources import files

        return files(__name__).joinpath("CITATION.bib").read_text(encoding="utf-8")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBPACKAGES, "__citation__", "__doc__", "__version__"])
