"""Fixtures for the tests of real shapes."""

import pytest

from tests.cutouts.conftest import quick_retry, server  # noqa: F401
from tests.cutouts.loopback import services


@pytest.fixture
def respond(monkeypatch):
    """Replace the responses of the cutout services.

    Call it with a function of the path, the parameters and the usual response; it returns a
    status, a body and a content type.
    """
    usual = services.respond

    def replace(function):
        monkeypatch.setattr(
            services,
            "respond",
            lambda path, params, *rest: function(path, params, usual(path, params, *rest)),
        )

    return replace
