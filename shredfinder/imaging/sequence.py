"""What image files and streams of cutouts have in common."""

from abc import ABC, abstractmethod

__all__ = ["CutoutSequence"]


class CutoutSequence(ABC):
    """Cutouts that are made when they are asked for: slices give `~shredfinder.Cutouts`."""

    #: Whether several threads may take slices at once, in any order.
    concurrent = False

    @abstractmethod
    def __len__(self):
        """Give the number of cutouts."""

    @abstractmethod
    def __getitem__(self, rows):
        """Make the `~shredfinder.Cutouts` of a slice of rows."""
