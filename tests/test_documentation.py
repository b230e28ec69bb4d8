"""Every public name is explained, has an example, and stands in the reference."""

import importlib
import inspect
import pkgutil
import re
import shlex
from pathlib import Path

import pytest

import shredfinder
from shredfinder.cli.main import _build_parser as build_parser

DOCS = Path(__file__).parents[1] / "docs"
# What users do not name: the command line has its own page, the others serve the public modules.
INTERNAL = {
    "_units", "atomic", "bodies", "cli", "column_values", "damage", "fits_files", "optional",
    "parameters", "progress", "threads", "typing",
}  # fmt: skip
# Their public names stand in the package itself.
REEXPORTED = {"classifier", "config"}


def list_documented():
    text = (DOCS / "api.rst").read_text()
    return list(dict.fromkeys(re.findall(r"^\.\. automodapi:: (\S+)$", text, flags=re.MULTILINE)))


def list_names():
    for module_name in list_documented():
        module = importlib.import_module(module_name)
        for name in module.__all__:
            yield pytest.param(module, name, id=f"{module_name}.{name}")


def is_code(item):
    return inspect.isclass(item) or inspect.isroutine(item)


def test_every_room_is_in_the_reference_or_internal():
    rooms = {module.name for module in pkgutil.iter_modules(shredfinder.__path__)}
    documented = {name.partition(".")[2] for name in list_documented()} - {""}
    assert rooms - INTERNAL - REEXPORTED == documented
    assert "shredfinder" in list_documented()


@pytest.mark.parametrize(("module", "name"), list(list_names()))
def test_public_name_is_explained_with_an_example(module, name):
    item = getattr(module, name)
    if not is_code(item):
        # Data: a comment above it, which Sphinx reads, or what its type says.
        home = Path(inspect.getfile(importlib.import_module(_find_home(module, name))))
        comment = rf"^#: .*\n(#: .*\n)*{name}(: .*)? = "
        assert re.search(comment, home.read_text(), re.MULTILINE) or (
            type(item).__module__.startswith("shredfinder") and type(item).__doc__
        )
        return
    # Not what a base class says.
    text = inspect.cleandoc(item.__doc__ or "")
    assert text, "no docstring"
    assert re.search(r"^Examples\n--------\n", text, re.MULTILINE), "no example"
    examples = text.partition("Examples\n--------\n")[2]
    assert ">>> " in examples or "See `" in examples


@pytest.mark.parametrize(("module", "name"), list(list_names()))
def test_public_methods_are_explained(module, name):
    item = getattr(module, name)
    if not inspect.isclass(item):
        return
    for key, value in vars(item).items():
        if key.startswith("_") or not (inspect.isroutine(value) or isinstance(value, property)):
            continue
        function = value.fget if isinstance(value, property) else getattr(item, key)
        assert inspect.getdoc(function), f"{name}.{key} has no docstring"


def _find_home(module, name):
    """Find the module that defines a name."""
    if hasattr(module, "__path__"):
        for _, home, _ in pkgutil.walk_packages(module.__path__, f"{module.__name__}."):
            if name in getattr(importlib.import_module(home), "__all__", ()):
                return home
    return module.__name__


def list_commands():
    """List the lines of pages and README that call the command, continued lines joined."""
    for page in sorted([*DOCS.rglob("*.rst"), DOCS.parent / "README.rst"]):
        if "_build" in page.parts or "api" in page.parts:
            continue
        text = page.read_text().replace("\\\n", " ")
        for line in re.findall(r"^ +(?:\$ )?(?:.*&& )?(shredfinder .*)$", text, re.MULTILINE):
            yield pytest.param(line, id=f"{page.name}: {line}")


@pytest.mark.parametrize("line", list(list_commands()))
def test_commands_of_the_pages_are_understood(line):
    words = shlex.split(line, comments=True)[1:]
    arguments = build_parser().parse_args(words)
    assert arguments.run.__module__ == f"shredfinder.cli.{words[0]}"


def test_commands_were_found():
    assert len(list(list_commands())) > 15
