"""What image files and streams of cutouts have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shredfinder.imaging.cutouts import Cutouts

__all__ = ["CutoutSequence"]


class CutoutSequence(ABC):
    """Cutouts that are made when they are asked for: slices give `~shredfinder.Cutouts`."""

    #: Whether several threads may take slices at once, in any order.
    concurrent = False

    @abstractmethod
    def __len__(self) -> int:
        """Give the number of cutouts."""

    @abstractmethod
    def __getitem__(self, rows: Any) -> Cutouts:
        """Make the `~shredfinder.Cutouts` of a slice of rows."""
