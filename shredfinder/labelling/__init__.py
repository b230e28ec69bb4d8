"""Visual labelling, agreement of labellers, active learning, and corrections of labels."""

from shredfinder.labelling.active import next_to_label
from shredfinder.labelling.agreement import (
    Agreement,
    compare_labellers,
    find_consensus,
    tabulate_labels,
)
from shredfinder.labelling.blind_session import LabellingSession, blind_order
from shredfinder.labelling.cleaning import apply_corrections, rank_contradicted
from shredfinder.labelling.page import LabellingPage
from shredfinder.labelling.store import DEFINITIONS, LABELS, LabelStore, read_labels
from shredfinder.labelling.widget import LabellingWidget

__all__ = [
    "DEFINITIONS",
    "LABELS",
    "Agreement",
    "LabelStore",
    "LabellingPage",
    "LabellingSession",
    "LabellingWidget",
    "apply_corrections",
    "blind_order",
    "compare_labellers",
    "find_consensus",
    "next_to_label",
    "rank_contradicted",
    "read_labels",
    "tabulate_labels",
]
