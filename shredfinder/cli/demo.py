"""``shredfinder demo``: score a simulated field, offline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from shredfinder.cli.arguments import add_seed_argument, check_output

if TYPE_CHECKING:
    import argparse

    from shredfinder.datasets import SimulatedField
    from shredfinder.table import ShredTable

__all__ = ["configure_demo", "demo"]

_EPILOG = """\
example:
  shredfinder demo --random-state 2 -o field.png

The field is simulated: large discs with arms and knots, smaller galaxies, stars and noise. The true
classes are known and given in the column label, beside the model's p_cnn. The model's performance
on simulated images is not its performance on real ones; see the model card for those.
"""


def configure_demo(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Simulate a small g, r, z field, score its sources with the embedded model, print the "
        "table and save an image of the field with the shreds marked."
    )
    parser.epilog = _EPILOG
    parser.add_argument(
        "-o",
        "--output",
        metavar="PNG",
        type=Path,
        default=Path("shredfinder-demo.png"),
        help="image of the field, replaced if it exists (default: %(default)s)",
    )
    add_seed_argument(parser, help="random seed of the field")


def demo(args: argparse.Namespace) -> None:
    """Simulate, score, print and plot a field."""
    from shredfinder._utils.runtime import import_optional
    from shredfinder.datasets import make_field
    from shredfinder.table import ShredTable

    check_output(args.output, overwrite=True)
    # Fails before the simulation if it is not installed.
    import_optional("matplotlib", "plotting the field")
    # A simulated field takes a while: check the output first.
    _check_format(args.output)
    print("simulating a field …", file=sys.stderr)
    field = make_field(random_state=args.random_state)
    table = ShredTable(field.sources)
    table.add_p_cnn(cutouts=field.cutouts())
    _print_table(table)
    _plot(field, table, args.output)
    print(f"image of the field: {args.output}", file=sys.stderr)


def _check_format(path: Path) -> None:
    from matplotlib.backend_bases import FigureCanvasBase

    if path.suffix.lower().removeprefix(".") not in FigureCanvasBase.get_supported_filetypes():
        raise ValueError(
            f"unknown image format {path.suffix!r} of {str(path)!r}: use .png, .jpg, .pdf or .svg"
        )


def _print_table(table: ShredTable) -> None:
    import numpy as np

    from shredfinder.table.scoring import summarize_scores

    shown = table["objID", "ra", "dec", "r", "label", "p_cnn", "p_cnn_flag"].copy()
    for name, form in (("ra", ".5f"), ("dec", ".5f"), ("r", ".2f")):
        shown[name].info.format = form
    print("\n".join(shown.pformat(max_lines=-1, max_width=-1)))
    print("\n".join(summarize_scores(table)))
    called, is_shred = np.asarray(table["p_cnn"]) >= 0.5, np.asarray(table["label"]) == "shred"
    print(
        f"{np.count_nonzero(called & is_shred)} of {np.count_nonzero(is_shred)} true shreds were "
        f"found, and {np.count_nonzero(called & ~is_shred)} of {np.count_nonzero(~is_shred)} true "
        "galaxies were classified as shreds"
    )


def _plot(field: SimulatedField, table: ShredTable, path: Path) -> None:
    from shredfinder._utils.files import atomic_write
    from shredfinder.plotting import plot_field

    ax = plot_field(field.image, field.wcs, table)
    with atomic_write(path) as temporary:
        ax.figure.savefig(temporary, dpi=130)
