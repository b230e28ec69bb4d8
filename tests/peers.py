"""astropy's own table tests, with ``ShredTable`` and ``ShredQTable`` in place of its classes.

Nothing of them is copied: this plugin of pytest replaces the names in ``astropy.table`` before the
installed test modules import them. Run ``tox -e peer-tests``.
"""

from __future__ import annotations

import astropy.table
import pytest

from shredfinder import ShredQTable, ShredTable

# Tests that cannot pass, by the end of their names, and why.
EXCEPTIONS: dict[str, str] = {}


def pytest_configure(config: pytest.Config) -> None:
    """Replace the classes, before any test module is imported."""
    astropy.table.Table, astropy.table.QTable = ShredTable, ShredQTable


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the exceptions as expected failures."""
    for item in items:
        for name, reason in EXCEPTIONS.items():
            if item.nodeid.endswith(name):
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
