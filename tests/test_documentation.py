"""Public names are documented, annotated and have an example; commands on the pages parse."""

import importlib
import inspect
import pkgutil
import re
import shlex
from pathlib import Path

import shredfinder
from shredfinder.cli.main import build_parser
from tests.test_architecture import HEIGHTS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MODULES = sorted(
    {
        name
        for page in (DOCS / "reference").glob("*.rst")
        for name in re.findall(r"^\.\. automodapi:: (\S+)$", page.read_text("utf-8"), re.MULTILINE)
    }
)
OPERATORS = {"__init__", "__call__", "__getitem__", "__len__", "__iter__", "__enter__", "__exit__"}


def list_public():
    """Yield module name, name and object of everything in the API reference."""
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            yield module_name, name, getattr(module, name)


def find_functions(thing):
    """Yield the functions behind a public name, inherited ones of this package included."""
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
            generated = function.__code__.co_filename.startswith("<")
            if not generated and (name in OPERATORS or not name.startswith("_")):
                yield function


def test_every_public_subpackage_is_in_the_reference():
    parts = {module.name for module in pkgutil.iter_modules(shredfinder.__path__)}
    public = {name for name in parts if not name.startswith("_")} - {"cli", "classifier", "config"}
    assert public == {name.partition(".")[2] for name in MODULES} - {""}


def test_every_reference_page_is_linked_with_a_description():
    text = (DOCS / "api.rst").read_text(encoding="utf-8")
    described = set(re.findall(r"^:doc:`(reference/\w+)`\n   \S", text, re.MULTILINE))
    assert described == {f"reference/{page.stem}" for page in (DOCS / "reference").glob("*.rst")}


def test_public_names_have_docstring_and_example():
    lacking = []
    for module, name, item in list_public():
        if not (inspect.isclass(item) or inspect.isroutine(item)):
            continue
        text = inspect.cleandoc(item.__doc__ or "")
        example = text.partition("Examples\n--------\n")[2]
        if not (">>> " in example or "See `" in example):
            lacking.append(f"{module}.{name}")
    assert not lacking


def test_public_methods_have_docstrings():
    lacking = [
        f"{module}.{name}.{key}"
        for module, name, item in list_public()
        if inspect.isclass(item)
        for key, value in vars(item).items()
        if not key.startswith("_") and (inspect.isroutine(value) or isinstance(value, property))
        if not inspect.getdoc(value.fget if isinstance(value, property) else getattr(item, key))
    ]
    assert not lacking


def test_public_functions_are_annotated():
    bare = []
    for module, _, item in list_public():
        for function in find_functions(item):
            wanted = {*inspect.signature(function).parameters, "return"} - {"self", "cls"}
            missing = wanted.difference(function.__annotations__)
            bare += [f"{module}.{function.__qualname__}: {name}" for name in sorted(missing)]
    assert not bare


def test_architecture_page_lists_the_layers():
    text = (DOCS / "architecture.rst").read_text(encoding="utf-8")
    rows = re.findall(r"^(\d+) +``(\w+)`` ", text, re.MULTILINE)
    heights = {part: height for part, height in HEIGHTS.items() if part != "__main__"}
    assert {part: int(layer) - 1 for layer, part in rows} == heights


def test_commands_on_the_pages_parse():
    pages = [
        path
        for path in [*DOCS.rglob("*.rst"), ROOT / "README.rst"]
        if not {"_build", "api"} & set(path.parts)
    ]
    n_commands = 0
    for page in pages:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^ +(?:\$ )?(?:.*&& )?(shredfinder .*)$", text, re.MULTILINE):
            words = shlex.split(line, comments=True)[1:]
            build_parser(*words[:1]).parse_args(words)
            n_commands += 1
    assert n_commands > 15
