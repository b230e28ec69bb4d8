"""The layout of the package: layers, imports, file sizes and file names."""

import ast
from collections import Counter
from pathlib import Path

import pytest

import shredfinder

PACKAGE = Path(shredfinder.__file__).parent
# From the bottom up. A part imports only from layers below its own.
LAYERS = [
    {"exceptions", "config"},
    {"_utils"},
    {"_net", "surveys"},
    {"imaging"},
    {"cutouts", "cuts", "models"},
    {"training", "hosts"},
    {"classifier"},
    {"evaluation", "explanation", "labelling"},
    {"plotting"},
    {"table"},
    {"bulk", "catalogs", "lsdb"},
    {"pipeline", "datasets"},
    {"cli"},
    {"__main__"},
]
HEIGHTS = {part: height for height, parts in enumerate(LAYERS) for part in parts}
NETWORK_FREE = {"cuts", "hosts", "cutouts", "imaging"}
NETWORK = {"models", "training", "classifier"}
HTTP_CLIENTS = {"requests", "urllib3", "socket", "http"}


@pytest.fixture(scope="module")
def modules():
    """Syntax trees of all modules by their path within the package."""
    return {
        path.relative_to(PACKAGE): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def find_imports(tree):
    """Yield the imported modules, those for type checkers included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            if node.module == "shredfinder":
                yield from (f"shredfinder.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_imports_point_one_way(modules):
    wrong = []
    for path, tree in modules.items():
        part = path.with_suffix("").parts[0]
        if part == "__init__":
            continue
        for module in find_imports(tree):
            name = module.removeprefix("shredfinder.")
            # Public names that the package loads on first use.
            module = shredfinder._HOMES.get(name, module)
            names = module.split(".")
            if names[0] != "shredfinder" or names[1:2] in ([part], ["__version__"], []):
                continue
            if HEIGHTS[names[1]] >= HEIGHTS[part]:
                wrong.append(f"{path} imports {module}")
            if part in NETWORK_FREE and names[1] in NETWORK:
                wrong.append(f"{path} must not know {module}")
    assert not wrong


def test_modules_do_not_import_each_other(modules):
    """No circles between modules, imports for type checkers counted."""
    names = {".".join(("shredfinder", *path.with_suffix("").parts)): path for path in modules}
    graph = {
        name: {other for other in find_imports(modules[path]) if other in names}
        for name, path in names.items()
    }
    done, circles = set(), []

    def visit(name, trail):
        if name in trail:
            circles.append(trail[trail.index(name) :])
        elif name not in done:
            for other in graph[name]:
                visit(other, [*trail, name])
            done.add(name)

    for name in graph:
        visit(name, [])
    assert not circles


def test_http_lives_in_one_place(modules):
    using = {
        path.parts[0]
        for path, tree in modules.items()
        if HTTP_CLIENTS & {module.partition(".")[0] for module in find_imports(tree)}
    }
    # The labelling page is a server of its own.
    assert using <= {"_net", "labelling"}


def test_file_sizes_and_names():
    files = [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    assert not [path for path in files if len(path.read_text().splitlines()) > 500]
    names = Counter(path.name for path in files)
    assert len([name for name, n in names.items() if n > 1]) <= 6, names.most_common(8)
