"""What a run did, in words: lines that are printed, and the warning that nothing was scored."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from shredfinder._utils.validation import quantify
from shredfinder.exceptions import ShredfinderWarning

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from shredfinder.imaging import Cutouts, CutoutSequence

__all__ = ["summarize_scores", "warn_unscored"]


def summarize_scores(table: Any, threshold: float = 0.5) -> list[str]:
    """Summarize a scored table.

    Parameters
    ----------
    table : `~astropy.table.Table` or ScoredCatalogue
        Table with the columns ``p_cnn`` and ``p_cnn_flag``.
    threshold : float, optional
        Sources with ``p_cnn`` at or above it are shreds.

    Returns
    -------
    lines : list of str
        Numbers of scored sources and of shreds; of unscored sources by reason, and of sources in
        other colours, if there are any; and whether images were corrected for extinction.
    """
    p_cnn, flags = np.asarray(table["p_cnn"]), np.asarray(table["p_cnn_flag"])
    scored = np.isfinite(p_cnn)
    n_shreds, n_scored = np.count_nonzero(p_cnn >= threshold), np.count_nonzero(scored)
    share = f" ({n_shreds / n_scored:.1%})" if n_scored else ""
    lines = [
        f"{quantify(len(table), 'source')}, {n_scored:,} scored: "
        f"{quantify(n_shreds, 'shred')}{share} with p_cnn ≥ {threshold:g}"
    ]
    reasons = Counter(flags[~scored].tolist()).most_common()
    if reasons:
        listed = ", ".join(f"{n} {reason}" for reason, n in reasons)
        lines.append(f"{len(table) - n_scored:,} unscored: {listed}")
    # A flag on a scored row means other colours.
    n_flagged = np.count_nonzero(flags[scored] != "")
    if n_flagged:
        lines.append(f"{n_flagged:,} scored in other colours than the model was trained on")
    return lines + _describe_correction(table)


def warn_unscored(flags: ArrayLike, source: Cutouts | CutoutSequence) -> None:
    """Warn that no row was scored.

    Parameters
    ----------
    flags : array_like of str
        Why, of shape ``(n,)``.
    source : Cutouts or CutoutSequence
        The cutouts; the warning names the first file or address that was tried.
    """
    # Counted as objects, since an array of text takes 64 bytes per row.
    reasons = np.asarray(flags, dtype=object)
    counts = Counter(reasons)
    listed = ", ".join(f"{counts[reason]} {reason}" for reason in sorted(counts))
    first = getattr(source, "first_tried", "")
    warnings.warn(
        f"none of {len(reasons)} sources was scored: {listed}"
        + (f" (the first cutout tried: {first})" if first else ""),
        ShredfinderWarning,
        stacklevel=3,
    )


def _describe_correction(table):
    """Return a line about the correction for extinction; none if no image was corrected."""
    # The scores of a file are arrays without metadata.
    meta = getattr(table["p_cnn"], "meta", {}).get("shredfinder", {})
    ebv = getattr(table, "ebv", meta.get("ebv", ""))
    if ebv in ("", "0"):
        return []
    source = f"from the {ebv}" if ebv.startswith("column") else f"of {ebv} mag"
    return [
        f"images corrected for extinction with E(B-V) {'as given' if ebv == 'given' else source}"
    ]
