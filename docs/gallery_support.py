"""What sphinx-gallery needs to run the scripts of ``docs/gallery`` offline.

``docs/conf.py`` names these functions. They collect figures, start the simulated services, and find
scripts whose optional packages are not installed.
"""

import contextlib
import importlib.util
import os
import tempfile
import textwrap
from pathlib import Path

from sphinx.util import logging
from sphinx_gallery.scrapers import figure_rst

from docs.simulated_services import running_simulated_services, use_services
from shredfinder import conf

# Optional packages of some scripts, by file name.
REQUIREMENTS = {
    "plot_five_bands.py": ("jax", "onnx"),
    "plot_fine_tuning.py": ("jax", "onnx"),
    "plot_lsdb.py": ("hats_import", "lsdb"),
    "plot_merging.py": ("photutils",),
}
# Order of the scripts on the gallery's page, within their folders.
ORDER = (
    "score_a_table", "thresholds", "prior",
    "cuts", "hosts", "merging", "host_to_satellites", "lsdb",
    "services", "local_bricks",
    "labelling", "five_bands", "fine_tuning",
    "compare_models", "calibration", "explanation",
)  # fmt: skip
# Servers and temporary folders of a build, closed at its end.
_STACK = contextlib.ExitStack()
_URLS = {}
# Resolution of the figures; screens with small pixels get twice as many.
_DPI = 100
# Wider figures (in inches) are scrolled on narrow screens, where their text would be too small.
_WIDE = 8


def list_missing():
    """Return the scripts that cannot run here, each with the missing packages."""
    found = {
        script: [name for name in names if not importlib.util.find_spec(name)]
        for script, names in REQUIREMENTS.items()
    }
    return {script: names for script, names in found.items() if names}


class ScriptOrder:
    """Sort the scripts of a folder as `ORDER` lists them."""

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __call__(self, filename):
        """Return the place of a script; one that is not listed is an error."""
        return ORDER.index(Path(filename).stem.removeprefix("plot_"))


def report_missing(app):
    """Log which scripts are shown without their output."""
    for script, names in list_missing().items():
        logging.getLogger(__name__).info(
            "gallery: %s is shown without output: %s not installed", script, ", ".join(names)
        )


def prepare_script(gallery_conf, fname):
    """Give each script an empty cache, the simulated services and the documentation's style."""
    import matplotlib as mpl

    if not _URLS:
        # Keras selects its backend when it is first imported.
        os.environ.setdefault("KERAS_BACKEND", "jax")
        # Fewer optimisations compile a third faster and train the same networks.
        os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=1")
        folder = _STACK.enter_context(tempfile.TemporaryDirectory())
        _URLS.update(_STACK.enter_context(running_simulated_services(folder)))
    use_services(_URLS)
    conf.cache_dir = _STACK.enter_context(tempfile.TemporaryDirectory())
    mpl.use("agg")
    mpl.rcParams.update({"font.size": 11, "figure.constrained_layout.use": True})


def close_services(app, exception):
    """Stop the servers and remove the temporary folders."""
    _URLS.clear()
    _STACK.close()


def scrape_figures(block, block_vars, gallery_conf):
    """Save the figures of a code block, also those that pyplot does not manage.

    `shredfinder.plotting` returns such figures, or axes of them.
    """
    import matplotlib.pyplot as plt
    from matplotlib.artist import Artist

    artists = [v for v in block_vars["example_globals"].values() if isinstance(v, Artist)]
    figures = [plt.figure(number) for number in plt.get_fignums()]
    figures += [artist.get_figure(root=True) for artist in artists]
    saved = block_vars.setdefault("saved_figures", [])
    parts = []
    # Dictionaries keep the order and drop duplicates.
    for figure in dict.fromkeys(figures):
        if figure is None or figure in saved:
            continue
        saved.append(figure)
        path = Path(next(block_vars["image_path_iterator"]))
        double = path.with_name(f"{path.stem}_2_00x{path.suffix}")
        figure.savefig(path, dpi=_DPI)
        figure.savefig(double, dpi=2 * _DPI)
        sources = [{0: str(path), 2.0: str(double)}]
        rst = figure_rst([path], gallery_conf["src_dir"], srcsetpaths=sources)
        if figure.get_figwidth() > _WIDE:
            rst = ".. container:: wide-figure\n" + textwrap.indent(rst, "   ")
        parts.append(rst)
    plt.close("all")
    return "\n".join(parts)
