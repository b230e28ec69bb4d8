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
exclude_patterns = ["_build", "_templates"]
default_role = "obj"
rst_epilog = ""
# Other projects' inventories are fetched only where it is asked for: a build must not depend on
# the network.
if not os.environ.get("SHREDFINDER_DOCS_INTERSPHINX"):
    intersphinx_mapping.clear()
    # What those inventories would tell of; all other references must be found.
    _ELSEWHERE = (
        "astropy",
        "astroquery",
        "keras",
        "lsdb",
        "matplotlib",
        "numpy",
        "pathlib",
        "pyvo",
    )
    nitpick_ignore_regex = [(r"py:\w+", rf"({'|'.join(_ELSEWHERE)})(\.[\w.]+)?")]

html_title = f"shredfinder {release}"
html_theme_options = {
    "logo": {"text": "shredfinder"},
    "show_toc_level": 2,
    "navigation_with_keys": False,
}
html_static_path = ["_static"]
html_sidebars = {"**": []}
htmlhelp_basename = "shredfinderdoc"
numpydoc_show_class_members = False
# The docstrings tell the types in words.
autodoc_typehints = "none"
