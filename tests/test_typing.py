"""The public interface is annotated; `typed_example` is what mypy makes of it."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = re.findall(r"automodapi:: (\S+)", (ROOT / "docs" / "api.rst").read_text("utf-8"))
OPERATORS = {"__init__", "__call__", "__getitem__", "__len__", "__iter__", "__enter__", "__exit__"}


def find_functions(thing):
    """Yield the functions behind a public name, those that a class inherits here among them."""
    if inspect.isfunction(thing):
        yield thing
    if not inspect.isclass(thing):
        return
    for base in thing.__mro__:
        if not base.__module__.startswith("shredfinder"):
            continue
        for name, value in vars(base).items():
            function = getattr(value, "fget", None) or getattr(value, "__func__", value)
            if not inspect.isfunction(function) or function.__module__ != base.__module__:
                continue
            made = function.__code__.co_filename.startswith("<")  # by a decorator
            if not made and (name in OPERATORS or not name.startswith("_")):
                yield function


@pytest.mark.parametrize("module", MODULES)
def test_public_functions_are_annotated(module):
    home = importlib.import_module(module)
    bare, n_functions = [], 0
    for thing in (getattr(home, name) for name in home.__all__):
        for function in find_functions(thing):
            n_functions += 1
            parameters = inspect.signature(function).parameters
            wanted = {name for name in parameters if name not in ("self", "cls")} | {"return"}
            missing = wanted.difference(function.__annotations__)
            bare += [f"{function.__qualname__}: {name}" for name in sorted(missing)]
    assert not bare
    assert n_functions or module == "shredfinder.exceptions"
