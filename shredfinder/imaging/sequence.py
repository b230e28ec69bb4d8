"""What image files and streams of cutouts have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shredfinder.imaging.cutouts import Cutouts

__all__ = ["CutoutSequence"]


class CutoutSequence(ABC):
    """Cutouts that are made when they are asked for: slices give `~shredfinder.Cutouts`.

    Examples
    --------
    >>> import numpy as np
    >>> from shredfinder import Cutouts
    >>> from shredfinder.imaging import CutoutSequence
    >>> class Noise(CutoutSequence):
    ...     concurrent = True
    ...     def __len__(self):
    ...         return 1000
    ...     def __getitem__(self, rows):
    ...         n = len(range(*rows.indices(len(self))))
    ...         rng = np.random.default_rng(rows.start)
    ...         images = rng.integers(0, 255, (n, 128, 128, 3), dtype=np.uint8)
    ...         return Cutouts.of_survey("legacy-dr9", images)
    >>> Noise()[10:12]
    <Cutouts: 2 of 128×128 px at 0.46875 arcsec/px, bands zrg, 0 unusable>
    """

    #: Whether several threads may take slices at once, in any order.
    concurrent = False

    @abstractmethod
    def __len__(self) -> int:
        """Give the number of cutouts."""

    @abstractmethod
    def __getitem__(self, rows: Any) -> Cutouts:
        """Make the `~shredfinder.Cutouts` of a slice of rows."""
