"""Labelling: sources seen by eye, agreement of labellers, what to label next, corrections."""

from shredfinder.labelling.cleaning import apply_corrections, rank_contradicted

__all__ = ["apply_corrections", "rank_contradicted"]
