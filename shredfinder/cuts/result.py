"""What a cut found: its verdict, and what each criterion had to say."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.table import Table

from shredfinder._utils.units import verdict

__all__ = ["QualityResult"]


class QualityResult:
    """The outcome of a cut made of several criteria.

    Parameters
    ----------
    criteria : dict
        From the name of a criterion to a bool or a boolean array: True where it is met. The
        arrays are broadcast against each other.

    Attributes
    ----------
    criteria : dict
        From the name of a criterion to a bool or an array, all of one shape.
    passed : bool or `~numpy.ndarray` of bool
        True where every criterion is met.

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
            raise ValueError("a cut needs at least one criterion: got none")
        arrays = np.broadcast_arrays(*(np.asarray(mask, dtype=bool) for mask in criteria.values()))
        self._masks = dict(zip(criteria, (mask.copy() for mask in arrays), strict=True))
        self.criteria = {name: verdict(mask) for name, mask in self._masks.items()}
        self.passed = verdict(np.logical_and.reduce(list(self._masks.values())))

    @property
    def n_removed(self) -> dict[str, int]:
        """dict: For each criterion, how many rows it removes, whatever the others do."""
        return {name: int(np.count_nonzero(~mask)) for name, mask in self._masks.items()}

    @property
    def n_removed_alone(self) -> dict[str, int]:
        """dict: For each criterion, how many rows it removes that no other criterion does."""
        failures = sum(~mask + np.int64(0) for mask in self._masks.values())
        return {
            name: int(np.count_nonzero(~mask & (failures == 1)))
            for name, mask in self._masks.items()
        }

    def summary(self) -> Table:
        """Count what each criterion removes.

        Returns
        -------
        table : `~astropy.table.Table`
            A row for each criterion, in order, with the columns ``criterion``, ``removed`` (rows
            that fail it), ``removed_alone`` (rows that fail no other) and ``left`` (rows that
            pass this criterion and all those above it).

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
        """Join the criteria of another result to these.

        Parameters
        ----------
        other : QualityResult
            The outcome of another cut on the same rows.

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

    def __repr__(self):
        total = next(iter(self._masks.values())).size
        alone = self.n_removed_alone
        lines = [
            f"  {name}: removes {count} ({alone[name]} of them alone)"
            for name, count in self.n_removed.items()
        ]
        passing = f"{np.count_nonzero(self.passed)} of {total} rows pass"
        return "\n".join([f"<{type(self).__name__}: {passing}", *lines]) + ">"
