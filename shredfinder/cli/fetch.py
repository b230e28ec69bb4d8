"""``shredfinder fetch``: download the cutouts of a catalogue."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np

from shredfinder.cli.common import (
    add_catalogue_argument,
    add_output_arguments,
    add_pattern_argument,
    add_position_argument,
    add_service_arguments,
    count,
    get_fetch_options,
    list_reasons,
)

__all__ = ["add_parser", "run"]

_EPILOG = """\
examples:
  shredfinder fetch candidates.fits -o cutouts/
  shredfinder fetch candidates.fits --service ps1 --pattern "{objid}.jpg" -o ps1/
  shredfinder fetch candidates.fits --service local --base-url bricks/ -o cutouts/

DIR gets one image a row and cutouts.ecsv: the catalogue's rows with path and flag, which is empty
where the image is good. By default images are those that the embedded model takes: Legacy Surveys
DR9, 128 px at 0.46875 arcsec/px. Answers are kept in a cache: a run that was interrupted, or whose
rows are flagged failed, asks only for what is missing.
"""
_CHUNK = 512


def add_parser(commands):
    """Add the command's parser."""
    parser = commands.add_parser(
        "fetch",
        help="download the cutouts of a catalogue",
        description="Download a cutout for each row of a catalogue.",
        epilog=_EPILOG,
    )
    add_catalogue_argument(parser, "catalogue", help="table with the sources' positions")
    add_pattern_argument(parser)
    parser.add_argument("--size", type=count, metavar="PX", help="width and height in pixels")
    parser.add_argument(
        "--pixel-scale", type=float, metavar="ARCSEC", help="pixel scale in arcsec per pixel"
    )
    add_service_arguments(parser)
    add_position_argument(parser)
    add_output_arguments(parser, help="folder of the cutouts", metavar="DIR")
    parser.set_defaults(interrupted="what was fetched is in the cache: run it again to go on")
    return parser


def run(args):
    """Fetch the cutouts and write them, chunk by chunk."""
    from shredfinder._utils.positions import get_positions
    from shredfinder.cutouts import CutoutStream, sky_order
    from shredfinder.imaging import CutoutFlag
    from shredfinder.imaging.writing import INDEX_NAME, write_images, write_index
    from shredfinder.table import find_image_files, read_catalogue

    folder = args.output
    if (folder / INDEX_NAME).exists() and not args.overwrite:
        raise FileExistsError(
            f"{str(folder / INDEX_NAME)!r} exists: add --overwrite to fetch into this folder again"
        )
    table = read_catalogue(args.catalogue, args.table)
    coords = get_positions(table, args.position)
    folder.mkdir(parents=True, exist_ok=True)
    names = _find_names(find_image_files(table, folder, args.pattern), folder)
    order = sky_order(coords)
    options = get_fetch_options(args) | {"size": args.size, "pixel_scale": args.pixel_scale}
    flags = np.full(len(table), CutoutFlag.FAILED.value, dtype="U16")
    with CutoutStream(coords[order], chunk=_CHUNK, **options) as stream:
        for start, cutouts in zip(range(0, max(len(table), 1), _CHUNK), stream, strict=True):
            rows = order[start : start + len(cutouts)]
            flags[rows] = cutouts.flags
            for row in rows[~cutouts.good]:
                names[row] = None
            write_images(cutouts, folder, [names[row] for row in rows])
    write_index(cutouts, folder, names, flags, table)
    n_good = sum(name is not None for name in names)
    print(f"{len(table)} sources, {n_good} cutouts in {folder}", file=sys.stderr)
    reasons = list_reasons(flags[flags != CutoutFlag.GOOD])
    if reasons:
        print(f"flagged: {reasons}", file=sys.stderr)


def _find_names(paths, folder):
    """Name each row's file within the folder, and no two the same."""
    names = [None if path is None else str(Path(path).relative_to(folder)) for path in paths]
    counts = Counter(name for name in names if name is not None)
    if counts and counts.most_common(1)[0][1] > 1:
        name, n = counts.most_common(1)[0]
        raise ValueError(
            f"{n} rows would be written to the same file {name!r}: choose a --pattern that names "
            "each row differently"
        )
    return names
