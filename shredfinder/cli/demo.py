"""``shredfinder demo``: the main job on a simulated field, with no network."""

import sys
from pathlib import Path

import numpy as np

from shredfinder.cli.classify import summarize
from shredfinder.cli.common import check_output, seed

__all__ = ["add_parser", "run"]

_EPILOG = """\
example:
  shredfinder demo --random-state 2 -o field.png

The field is simulated: large discs with arms and knots, smaller galaxies, stars and noise. Its
true classes are known and stand in the column label, beside the model's p_cnn. How well the
model does here says little of how well it does on the sky; the model card does.
"""


def add_parser(commands):
    """Add the command's parser."""
    parser = commands.add_parser(
        "demo",
        help="simulate a field, score its sources and draw them, offline",
        description="Simulate a small g, r, z field, score its sources with the embedded model, "
        "print the table and save a picture of the field with the shreds marked.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="PNG",
        type=Path,
        default=Path("shredfinder-demo.png"),
        help="picture of the field, replaced if it exists (default: %(default)s)",
    )
    parser.add_argument(
        "--random-state",
        type=seed,
        default=1,
        metavar="SEED",
        help="another seed gives another field (default: %(default)s)",
    )
    return parser


def run(args):
    """Simulate, score, print and draw."""
    from shredfinder._utils.runtime import import_optional
    from shredfinder.datasets import make_field
    from shredfinder.table import ShredTable

    check_output(args.output, overwrite=True)
    import_optional("matplotlib", "drawing the field")
    _check_picture(args.output)
    print("simulating a field …", file=sys.stderr)
    field = make_field(random_state=args.random_state)
    table = ShredTable(field.sources)
    table.add_p_cnn(cutouts=field.cutouts())
    _print_table(table)
    _draw(field, table, args.output)
    print(f"picture of the field: {args.output}", file=sys.stderr)


def _check_picture(path):
    from matplotlib.backend_bases import FigureCanvasBase

    if path.suffix.lower().removeprefix(".") not in FigureCanvasBase.get_supported_filetypes():
        raise ValueError(
            f"no picture format is known by the extension {path.suffix!r} of {str(path)!r}: use "
            ".png, .jpg, .pdf or .svg"
        )


def _print_table(table):
    shown = table["objID", "ra", "dec", "r", "label", "p_cnn", "p_cnn_flag"].copy()
    for name, form in (("ra", ".5f"), ("dec", ".5f"), ("r", ".2f"), ("p_cnn", ".3f")):
        shown[name].info.format = form
    print("\n".join(shown.pformat(max_lines=-1, max_width=-1)))
    print(summarize(table, 0.5))
    p_cnn, is_shred = np.asarray(table["p_cnn"]), np.asarray(table["label"]) == "shred"
    print(
        f"of {np.count_nonzero(is_shred)} true shreds {np.count_nonzero(p_cnn[is_shred] >= 0.5)} "
        f"were found; of {np.count_nonzero(~is_shred)} true galaxies "
        f"{np.count_nonzero(p_cnn[~is_shred] >= 0.5)} were taken for shreds"
    )


def _draw(field, table, path):
    from shredfinder._utils.files import atomic_write
    from shredfinder.plotting import plot_field

    ax = plot_field(field.image, field.wcs, table)
    with atomic_write(path) as temporary:
        ax.figure.savefig(temporary, dpi=130)
