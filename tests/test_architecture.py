"""The rooms depend on each other in one direction only, as the documentation's diagram shows."""

import ast
from pathlib import Path

import pytest

import shredfinder

PACKAGE = Path(shredfinder.__file__).parent
# From the ground up: a room imports from those below its own layer, and from none beside it.
LAYERS = [
    {"exceptions", "config", "column_values", "damage", "parameters"},
    {"optional", "surveys", "columns", "priors"}
    | {"_units", "atomic", "bodies", "fits_files", "progress", "threads"},
    {"positions", "imaging", "fractions"},
    {"cutouts", "cuts", "hosts", "datasets", "models", "typing", "explanation"},
    {"training"},
    {"evaluation", "labelling"},
    {"classifier"},
    {"plotting"},
    {"table"},
    {"catalogs", "lsdb"},
    {"pipeline"},
    {"cli"},
]  # fmt: skip
HEIGHTS = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}
# What knows nothing of networks.
WITHOUT_NETWORKS = {"cuts", "hosts", "cutouts", "imaging", "positions"}
NETWORKS = {"models", "training", "classifier"}
# These ask servers, and nothing else does; labelling has a server of its own.
ASKING = {"catalogs", "cutouts", "bodies", "labelling"}


def walk(node):
    """Walk a syntax tree, but for what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", None) == "TYPE_CHECKING":
            continue
        yield child
        yield from walk(child)


def find_imports(path):
    """List the absolute names of the modules that a file imports anywhere."""
    for node in walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            if node.module == "shredfinder":
                yield from (f"shredfinder.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def get_room(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


FILES = sorted(path for path in PACKAGE.rglob("*.py") if get_room(path) != "__init__")


def test_every_room_has_its_layer():
    assert {get_room(path) for path in FILES} == set(HEIGHTS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_dependencies_point_one_way(path):
    room = get_room(path)
    for module in find_imports(path):
        parts = module.split(".")
        if parts[0] != "shredfinder" or parts[1:2] in ([room], ["__version__"], []):
            continue
        other = parts[1]
        assert HEIGHTS[other] < HEIGHTS[room], f"{room} must not import {module}"
        assert not (room in WITHOUT_NETWORKS and other in NETWORKS)


def test_only_catalogues_and_cutouts_ask_servers():
    clients = {"requests", "urllib3", "pyvo", "socket", "http"}
    asking = {
        get_room(path)
        for path in FILES
        if clients & {module.partition(".")[0] for module in find_imports(path)}
    }
    assert asking <= ASKING


def test_no_module_is_two_things():
    lengths = {path: len(path.read_text().splitlines()) for path in FILES}
    assert {str(path): n for path, n in lengths.items() if n > 500} == {}


def test_diagram_shows_these_layers():
    pytest.importorskip("matplotlib", reason="the pictures need matplotlib")
    from docs.pictures import STATIC, WORDS, draw_architecture

    assert set(WORDS) <= set(HEIGHTS)
    # Another layer, or another room: python -m docs.pictures draws it anew.
    assert (STATIC / "architecture.svg").read_text(encoding="utf-8") == draw_architecture()
