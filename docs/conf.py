"""Sphinx configuration of shredfinder's documentation."""

import os
import re
import sys
from importlib import metadata
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.pycode import ModuleAnalyzer
from sphinx_astropy.conf.v2 import *  # noqa: F403
from sphinx_astropy.conf.v2 import extensions, intersphinx_mapping

# The gallery's scripts need `docs` and `tests`, from which they get simulated services.
sys.path.insert(0, str(Path(__file__).parents[1]))
from docs import gallery_support

project = "shredfinder"
author = "The shredfinder developers"
project_copyright = f"2026, {author}"
version = release = metadata.version("shredfinder")

extensions += ["sphinx_design", "sphinx_gallery.gen_gallery", "myst_nb"]
exclude_patterns = ["_build", "_templates", "gallery", "examples/**.ipynb"]
# The notebooks are stored with their outputs; `python -m docs.execute_notebooks` renews them.
nb_execution_mode = "off"
default_role = "obj"
rst_epilog = ""

# Every name in backticks must resolve. A build must not depend on the network, so the inventories
# of other projects are fetched only on request. Without them, the names below do not resolve.
nitpicky = True
if not os.environ.get("SHREDFINDER_DOCS_INTERSPHINX"):
    intersphinx_mapping.clear()
nitpick_ignore_regex = [
    # The standard library
    (r"py:(obj|class|exc)", r"(abc|collections|contextlib|enum|pathlib|threading|time)\..*"),
    # Tables, arrays, coordinates and figures
    (r"py:(obj|class|meth|func)", r"(numpy|astropy|matplotlib|sklearn)\..*"),
    # Services, training, clusters and file formats
    (r"py:(obj|class)", r"(astroquery|pyvo|requests|keras|lsdb|pandas|pyarrow)\..*"),
]
# The numpydoc descriptions state the types, with shapes and units.
autodoc_typehints = "none"
# Show the descriptions of constants, not their values.
autodoc_default_options = {"no-value": True}

html_math_renderer = "mathml"
html_title = f"shredfinder {release}"
html_theme_options = {
    "logo": {"text": "shredfinder"},
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 7,
    # The search field does not fit next to the page links.
    "navbar_persistent": ["search-button"],
}
html_static_path = ["_static"]
html_css_files = ["shredfinder.css"]
# Top-level pages without a section have no sidebar.
_TOP_LEVEL = (
    "index",
    "installation",
    "getting_started",
    "examples/index",
    "changes",
    "search",
    "genindex",
)
html_sidebars = {page: [] for page in _TOP_LEVEL} | {"**": ["sidebar-nav-bs"]}
htmlhelp_basename = "shredfinderdoc"
numpydoc_show_class_members = False


# Scripts in docs/gallery become pages in docs/examples. A build executes only those that changed.
_MISSING = "|".join(re.escape(name) for name in gallery_support.list_missing())
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    # Scripts whose optional packages are missing are shown without output.
    "filename_pattern": rf"/(?!{_MISSING or '$'})plot_\w+\.py$",
    "within_subsection_order": "docs.gallery_support.ScriptOrder",
    "image_scrapers": ("docs.gallery_support.scrape_figures",),
    "reset_modules": ("matplotlib", "docs.gallery_support.prepare_script"),
    # Figures are collected already; their text representation says nothing.
    "ignore_repr_types": r"matplotlib",
    "doc_module": ("shredfinder",),
    "reference_url": {"shredfinder": None},
    "backreferences_dir": None,
    "remove_config_comments": True,
    "show_signature": False,
    "write_computation_times": False,
    "first_notebook_cell": "%matplotlib inline",
}


def _hide_internal_bases(app, name, obj, options, bases):
    """Remove base classes that are not in the API reference."""
    bases[:] = [base for base in bases if _is_shown(base)] or [object]


def _is_shown(base):
    package, _, rest = base.__module__.partition(".")
    if package != "shredfinder":
        return True
    homes = (package, f"{package}.{rest.partition('.')[0]}")
    return any(base.__name__ in getattr(sys.modules[home], "__all__", ()) for home in homes)


def _describe_data(app, what, name, obj, options, lines):
    """Use the comment above the definition of a constant that its package re-exports."""
    if what not in ("data", "module_attribute") or not name.startswith("shredfinder."):
        return
    package, _, key = name.rpartition(".")
    for home in sorted(module for module in sys.modules if f"{module}.".startswith(f"{package}.")):
        found = ModuleAnalyzer.for_module(home).find_attr_docs().get(("", key))
        if found:
            lines[:] = found
            return


def _shorten_inherited(app, what, name, obj, options, lines):
    """Keep the first line of docstrings inherited from scikit-learn: their links do not resolve."""
    if (getattr(obj, "__module__", None) or "").startswith("sklearn."):
        del lines[1:]


def _widen_scripts(app, page, template, context, doctree):
    """Remove the right sidebar from the pages of scripts, whose figures need the width."""
    if page.startswith("examples/") and "/plot_" in page:
        context["meta"] = (context.get("meta") or {}) | {
            "html_theme.sidebar_secondary.remove": True
        }


def _visit_math(translator, node):
    """Convert a formula to MathML, which browsers display without fetching a script."""
    block = isinstance(node, nodes.math_block)
    # As elsewhere in Sphinx, an empty line starts a new line of the formula.
    lines = [line.strip() for line in node.astext().split("\n\n") if line.strip()]
    markup = tex2mathml(r" \\ ".join(lines), as_block=block)
    if block:
        markup = f'<div class="formula">{markup}</div>'
    translator.body.append(markup)
    raise nodes.SkipNode


def setup(app):
    """Connect the functions above to Sphinx."""
    app.connect("builder-inited", gallery_support.report_missing)
    app.connect("build-finished", gallery_support.close_services)
    app.connect("html-page-context", _widen_scripts)
    app.connect("autodoc-process-bases", _hide_internal_bases)
    app.connect("autodoc-process-docstring", _describe_data)
    app.connect("autodoc-process-docstring", _shorten_inherited)
    app.add_html_math_renderer("mathml", (_visit_math, None), (_visit_math, None))
