"""Named sets of thresholds, and the result of a cut, criterion by criterion."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from astropy.table import Table

from shredfinder._utils.units import to_bools, verdict
from shredfinder.surveys import LEGACY, SAGA_THRESHOLDS, Survey, get_survey

__all__ = ["CUT_PRESETS", "CutPreset", "QualityResult", "get_preset", "register_preset"]


@dataclass(frozen=True)
class CutPreset:
    """A named set of thresholds, given as keyword arguments of the cuts.

    Attributes
    ----------
    name : str
        Name by which users choose the preset.
    description : str
        One-line description.
    source : str
        Source of the numbers.
    saga : dict
        Keyword arguments of `saga_cut`. Thresholds that are not listed keep their defaults.
    quality : dict
        Keyword arguments of each survey's quality cut, by the survey's name or alias. Thresholds
        that are not listed keep their defaults.
    criteria : dict
        Other criteria than the paper's, by the survey's name or alias: ``"saga-dr3"`` for
        `saga_dr3_quality_cut`. ``quality`` then holds keyword arguments of that function.

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
    saga: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, dict[str, Any]] = field(default_factory=dict)
    criteria: dict[str, str] = field(default_factory=dict)

    @property
    def saga_thresholds(self) -> dict[str, Any]:
        """dict: All thresholds of the SAGA cut, defaults included."""
        return {**SAGA_THRESHOLDS, **self.saga}

    def quality_thresholds(self, survey: Survey) -> dict[str, Any]:
        """Return all thresholds of a survey's quality cut, defaults included.

        Parameters
        ----------
        survey : `~shredfinder.surveys.Survey`
            The survey.

        Returns
        -------
        thresholds : dict
            Thresholds by keyword argument.
        """
        # The survey's defaults are those of the paper's criteria.
        thresholds = {} if self.other_criteria(survey) else dict(survey.quality)
        # Users may name the survey by its alias.
        for name, values in self.quality.items():
            if get_survey(name).name == survey.name:
                thresholds.update(values)
        return thresholds

    def other_criteria(self, survey: Survey) -> str | None:
        """Return the criteria that replace the paper's quality cut.

        Parameters
        ----------
        survey : `~shredfinder.surveys.Survey`
            The survey.

        Returns
        -------
        criteria : str or None
            Their name; None for the paper's.
        """
        for name, criteria in self.criteria.items():
            if get_survey(name).name == survey.name:
                return criteria
        return None


#: The presets by name. `register_preset` adds to them.
#:
#: :meta hide-value:
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
        The same preset.

    Raises
    ------
    ValueError
        If the name is in use.

    Examples
    --------
    >>> from shredfinder.cuts import CUT_PRESETS, CutPreset, register_preset
    >>> mine = CutPreset("bright", "The paper's, to r = 19", "ours", saga={"r_max": 19.0})
    >>> register_preset(mine).name
    'bright'
    >>> del CUT_PRESETS["bright"]
    """
    if preset.name in CUT_PRESETS:
        raise ValueError(
            f"there is already a cut preset named {preset.name!r}: choose another name"
        )
    CUT_PRESETS[preset.name] = preset
    return preset


def get_preset(name: str | CutPreset) -> CutPreset:
    """Look up a preset by name.

    Parameters
    ----------
    name : str or CutPreset
        A key of `CUT_PRESETS`; a preset is returned unchanged.

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


# An empty preset: the defaults are the paper's thresholds.
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
        "The paper's looser variant: no limit on RCHISQ (about 7 % shreds instead of 4 %)",
        "arXiv:2301.09648, section 3.2",
        quality={LEGACY.name: {"max_rchisq": None, "max_rchisq_any": None}},
    )
)
register_preset(
    CutPreset(
        "saga-later",
        "SAGA's later surface-brightness cut; everything else as in the paper",
        "the SAGA survey's public code: high_priority_sb and high_priority_gr",
        saga={"sb_slope": 0.6, "sb_limit": 18.55},
    )
)
register_preset(
    CutPreset(
        "saga-dr3",
        "SAGA's later surface-brightness cut, and for Legacy the quality flags of its DR3",
        "the SAGA survey's public code: build3.py, high_priority_sb and high_priority_gr",
        saga={"sb_slope": 0.6, "sb_limit": 18.55},
        criteria={LEGACY.name: "saga-dr3"},
    )
)


class QualityResult:
    """The result of a cut that consists of several criteria.

    Parameters
    ----------
    criteria : dict
        A bool or boolean array for each criterion, True where it is met. The arrays are
        broadcast against each other.

    Attributes
    ----------
    criteria : dict
        A bool or boolean array for each criterion, all of one shape.
    passed : bool or `~numpy.ndarray` of bool
        True where all criteria are met.

    Examples
    --------
    >>> from shredfinder.cuts import QualityResult
    >>> result = QualityResult({"type": [True, True, False], "radius": [True, False, False]})
    >>> result.passed
    array([ True, False, False])
    >>> result
    <QualityResult: 1 of 3 rows pass
      type: removes 1 (0 of them alone)
      radius: removes 2 (1 of them alone)>
    """

    def __init__(self, criteria: dict[str, Any]) -> None:
        if not criteria:
            raise ValueError("criteria is empty: a cut needs at least one criterion")
        # Copies, so that a later change of the caller's arrays does not change the result.
        arrays = np.broadcast_arrays(*(to_bools(mask, name) for name, mask in criteria.items()))
        self._masks = dict(zip(criteria, (mask.copy() for mask in arrays), strict=True))
        self.criteria = {name: verdict(mask) for name, mask in self._masks.items()}
        self.passed = verdict(np.logical_and.reduce(list(self._masks.values())))

    @property
    def n_removed(self) -> dict[str, int]:
        """dict: Number of rows that fail each criterion."""
        return {name: int(np.count_nonzero(~mask)) for name, mask in self._masks.items()}

    @property
    def n_removed_alone(self) -> dict[str, int]:
        """dict: Number of rows that fail each criterion and no other."""
        # A criterion removes a row alone if it is the only one that the row fails.
        failures = np.sum([~mask for mask in self._masks.values()], axis=0)
        return {
            name: int(np.count_nonzero(~mask & (failures == 1)))
            for name, mask in self._masks.items()
        }

    def summary(self) -> Table:
        """Count the rows that each criterion removes.

        Returns
        -------
        table : `~astropy.table.Table`
            One row per criterion, in order, with the columns ``criterion``, ``removed`` (rows
            that fail it), ``removed_alone`` (rows that fail no other criterion) and ``left``
            (rows that pass this criterion and all those above it).

        Examples
        --------
        >>> from shredfinder.cuts import QualityResult
        >>> print(QualityResult({"type": [True, True, False], "radius": [True, False, False]})
        ...       .summary())
        criterion removed removed_alone left
        --------- ------- ------------- ----
             type       1             0    2
           radius       2             1    1
        """
        # Criteria apply in order: each row of `left` counts those that passed all before.
        left = np.logical_and.accumulate(list(self._masks.values()), axis=0)
        return Table(
            {
                "criterion": list(self._masks),
                "removed": list(self.n_removed.values()),
                "removed_alone": list(self.n_removed_alone.values()),
                "left": [int(np.count_nonzero(mask)) for mask in left],
            }
        )

    def and_also(self, other: QualityResult) -> QualityResult:
        """Combine these criteria with the criteria of another result.

        Parameters
        ----------
        other : QualityResult
            The result of another cut on the same rows.

        Returns
        -------
        joined : QualityResult
            The criteria of both, these first.

        Raises
        ------
        ValueError
            If both have a criterion of the same name.

        Examples
        --------
        >>> from shredfinder.cuts import QualityResult
        >>> first = QualityResult({"type": [True, True]})
        >>> first.and_also(QualityResult({"color": [False, True]})).passed
        array([False,  True])
        """
        both = sorted(self.criteria.keys() & other.criteria.keys())
        if both:
            raise ValueError(f"both results have a criterion {', '.join(both)}: rename one")
        return QualityResult({**self._masks, **other._masks})

    def __repr__(self) -> str:
        # All masks have one shape, after broadcasting.
        total = next(iter(self._masks.values())).size
        alone = self.n_removed_alone
        lines = [
            f"  {name}: removes {count} ({alone[name]} of them alone)"
            for name, count in self.n_removed.items()
        ]
        passing = f"{np.count_nonzero(self.passed)} of {total} rows pass"
        return "\n".join([f"<{type(self).__name__}: {passing}", *lines]) + ">"
