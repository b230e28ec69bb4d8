"""Named sets of thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["CUT_PRESETS", "CutPreset", "get_preset", "register_preset"]


@dataclass(frozen=True)
class CutPreset:
    """A named set of thresholds, each given as the keyword arguments of a cut.

    Attributes
    ----------
    name : str
        The name by which users choose the preset.
    description : str
        What it is, in a sentence.
    source : str
        Where its numbers come from.
    saga : dict
        Keyword arguments of `saga_cut`; what is not named keeps its default.
    quality : dict
        From a survey's name to keyword arguments of its quality cut; likewise.

    Examples
    --------
    >>> from shredfinder.cuts import CutPreset, saga_cut
    >>> bright = CutPreset("bright", "The paper's, to r = 19", "ours", saga={"r_max": 19.0})
    >>> saga_cut(20.4, 20.0, 3.0, **bright.saga)
    False
    """

    name: str
    description: str
    source: str
    saga: dict = field(default_factory=dict)
    quality: dict = field(default_factory=dict)


#: The presets by name. `register_preset` adds to them.
CUT_PRESETS: dict[str, CutPreset] = {}


def register_preset(preset: CutPreset) -> CutPreset:
    """Add a preset to the registry.

    Parameters
    ----------
    preset : CutPreset
        The preset.

    Returns
    -------
    preset : CutPreset
        The same.

    Raises
    ------
    ValueError
        If there is a preset of that name already.

    Examples
    --------
    >>> from shredfinder.cuts import CUT_PRESETS, CutPreset, register_preset
    >>> mine = CutPreset("bright", "The paper's, to r = 19", "ours", saga={"r_max": 19.0})
    >>> register_preset(mine).name
    'bright'
    >>> del CUT_PRESETS["bright"]
    """
    if preset.name in CUT_PRESETS:
        raise ValueError(f"there is a preset named {preset.name!r} already: choose another name")
    CUT_PRESETS[preset.name] = preset
    return preset


def get_preset(name: str | CutPreset) -> CutPreset:
    """Look up a preset by name.

    Parameters
    ----------
    name : str or CutPreset
        One of the keys of `CUT_PRESETS`; a preset is returned as it is.

    Returns
    -------
    preset : CutPreset
        The preset.

    Raises
    ------
    ValueError
        If there is no preset of that name.

    Examples
    --------
    >>> from shredfinder.cuts import get_preset
    >>> get_preset("saga-later").saga
    {'sb_slope': 0.6, 'sb_limit': 18.55}
    """
    if isinstance(name, CutPreset):
        return name
    try:
        return CUT_PRESETS[name]
    except (KeyError, TypeError):
        raise ValueError(
            f"there is no cut preset named {name!r}: choose one of {', '.join(CUT_PRESETS)}"
        ) from None


register_preset(
    CutPreset(
        "paper",
        "The paper's cuts",
        "arXiv:2301.09648, section 3.1, with its two misprints corrected",
    )
)
register_preset(
    CutPreset(
        "paper-no-rchisq",
        "The paper's looser variant: no limit on RCHISQ (about 7 % shreds in place of 4 %)",
        "arXiv:2301.09648, section 3.2",
        quality={"legacy-dr9": {"max_rchisq": None, "max_rchisq_any": None}},
    )
)
register_preset(
    CutPreset(
        "saga-later",
        "SAGA's later cut in surface brightness; all else as in the paper",
        "the SAGA survey's public code: high_priority_sb and high_priority_gr",
        saga={"sb_slope": 0.6, "sb_limit": 18.55},
    )
)
