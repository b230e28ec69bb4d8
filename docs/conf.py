"""Sphinx configuration of shredfinder's documentation."""

import os
from importlib import metadata

from sphinx_astropy.conf.v2 import *  # noqa: F403
from sphinx_astropy.conf.v2 import extensions, intersphinx_mapping

project = "shredfinder"
author = "The shredfinder developers"
project_copyright = f"2026, {author}"
version = release = metadata.version("shredfinder")

extensions += ["sphinx_design"]
exclude_patterns = ["_build", "_templates", "notebooks"]
default_role = "obj"
rst_epilog = ""

# Every name in backticks must lead somewhere. Other projects' inventories are fetched only where
# it is asked for, since a build must not depend on the network; without them, their names are not
# links, and these only are excused.
nitpicky = True
if not os.environ.get("SHREDFINDER_DOCS_INTERSPHINX"):
    intersphinx_mapping.clear()
nitpick_ignore_regex = [
    # The standard library
    (r"py:(obj|class|exc)", r"(abc|collections|enum|pathlib|threading|time)\..*"),
    # What tables, images and coordinates are made of
    (r"py:(obj|class|meth|func)", r"(numpy|astropy|matplotlib)\..*"),
    # Services, training and clusters
    (r"py:(obj|class)", r"(astroquery|pyvo|requests|keras|lsdb|pandas|pyarrow)\..*"),
]
# Types stand in the descriptions, in words and with shapes and units.
autodoc_typehints = "none"
# Data are described by what is said of them, not by all of their values.
autodoc_default_options = {"no-value": True}

html_title = f"shredfinder {release}"
html_theme_options = {
    "logo": {"text": "shredfinder"},
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
}
html_static_path = ["_static"]
html_css_files = ["shredfinder.css"]
html_sidebars = {"index": [], "**": ["sidebar-nav-bs"]}
htmlhelp_basename = "shredfinderdoc"
numpydoc_show_class_members = False


def _hide_internal_bases(app, name, obj, options, bases):
    """Name no base class that the reference does not have."""
    bases[:] = [
        base
        for base in bases
        if base.__module__
        not in (
            "shredfinder.parameters",
            "shredfinder.models.holder",
            "shredfinder.models.scorer",
        )
    ] or [object]


def setup(app):
    """Connect what Sphinx calls."""
    app.connect("autodoc-process-bases", _hide_internal_bases)
