"""Labelling: sources seen by eye, agreement of labellers, what to label next, corrections."""

from shredfinder.labelling.cleaning import apply_corrections, rank_contradicted
from shredfinder.labelling.page import LabellingPage
from shredfinder.labelling.session import LabellingSession, blind_order
from shredfinder.labelling.store import LABELS, LabelStore, read_answers

__all__ = [
    "LABELS",
    "LabelStore",
    "LabellingPage",
    "LabellingSession",
    "apply_corrections",
    "blind_order",
    "rank_contradicted",
    "read_answers",
]
