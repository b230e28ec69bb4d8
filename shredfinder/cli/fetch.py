"""``shredfinder fetch``: download the cutouts of a catalogue."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from shredfinder.cli.arguments import (
    add_catalogue_argument,
    add_output_arguments,
    add_position_argument,
    check_any,
    count,
    list_reasons,
)
from shredfinder.cli.cutout_arguments import (
    add_pattern_argument,
    add_service_arguments,
    get_fetcher,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["configure_fetch", "fetch"]

_EPILOG = """\
examples:
  shredfinder fetch candidates.fits -o cutouts/
  shredfinder fetch candidates.fits --service ps1 --pattern "{objid}.jpg" -o ps1/
  shredfinder fetch candidates.fits --service local --base-url bricks/ -o cutouts/

DIR receives one image per row and cutouts.ecsv: the catalogue's rows with path and flag, which is
empty for usable images; columns of the catalogue with these names become catalogue_path and
catalogue_flag. By default the images are those of the embedded model: Legacy Surveys DR9,
128 px at 0.46875 arcsec/px. Images are cached: a rerun after an interruption or failures fetches
only what is missing. After a run that wrote cutouts.ecsv, add --overwrite.
"""
# Rows fetched and written at a time.
_CHUNK = 512


def configure_fetch(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = "Download a cutout for each row of a catalogue."
    parser.epilog = _EPILOG
    add_catalogue_argument(parser, "catalogue", help="table with the positions of the sources")
    add_pattern_argument(parser)
    parser.add_argument("--size", type=count, metavar="PX", help="width and height in pixels")
    parser.add_argument(
        "--pixel-scale", type=float, metavar="ARCSEC", help="pixel scale in arcsec per pixel"
    )
    add_service_arguments(parser)
    add_position_argument(parser)
    add_output_arguments(parser, help="folder for the cutouts", metavar="DIR")
    parser.set_defaults(interrupted="fetched images are in the cache: run it again to resume")


def fetch(args: argparse.Namespace) -> None:
    """Fetch the cutouts and write them, chunk by chunk."""
    import numpy as np

    from shredfinder._utils.leftovers import lock_folder
    from shredfinder._utils.validation import quantify
    from shredfinder.imaging import CutoutFlag
    from shredfinder.imaging.storage import (
        INDEX_NAME,
        begin_folder,
        check_finished,
        prepare_rows,
        write_images,
        write_index,
    )
    from shredfinder.table import get_positions, read_catalogue
    from shredfinder.table.patterns import PatternFiles, list_exact_names, warn_of_names

    folder = args.output
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"the output {str(folder)!r} is a file: name a folder")
    if check_finished(folder) and not args.overwrite:
        raise FileExistsError(
            f"{str(folder / INDEX_NAME)!r} exists: add --overwrite to replace the cutouts in this "
            "folder"
        )
    table = read_catalogue(args.catalogue, args.table, exact=list_exact_names(args.pattern))
    coords = get_positions(table, args.position)
    folder.mkdir(parents=True, exist_ok=True)
    files = PatternFiles(table, folder, args.pattern)
    names = _name_files(files[:], folder)
    warn_of_names([files], files.names)
    # Before anything is fetched.
    rows_of_index = prepare_rows(table)
    fetcher = get_fetcher(args, size=args.size, pixel_scale=args.pixel_scale)
    # Neighbours on the sky share images of the service.
    order = fetcher.order(coords)
    flags = np.full(len(table), CutoutFlag.FAILED.value, dtype="U16")
    with lock_folder(folder), fetcher.stream(coords[order], chunk=_CHUNK) as stream:
        begin_folder(folder, names)
        for start, cutouts in zip(range(0, max(len(table), 1), _CHUNK), stream, strict=True):
            # The stream follows the order on the sky; these are its rows in the catalogue.
            rows = order[start : start + len(cutouts)]
            flags[rows] = cutouts.flags
            for row in rows[~cutouts.good]:
                names[row] = None
            write_images(cutouts.images, folder, [names[row] for row in rows], cutouts.bands)
        # Last, since its presence marks a complete folder.
        write_index(folder, names, flags, cutouts.facts, cutouts.images, rows_of_index)
    n_good = sum(name is not None for name in names)
    print(
        f"{quantify(len(table), 'source')}, {quantify(n_good, 'cutout')} in {folder}",
        file=sys.stderr,
    )
    reasons = list_reasons(flags[flags != CutoutFlag.GOOD])
    if reasons:
        print(f"flagged: {reasons}", file=sys.stderr)
    if len(table) and not n_good:
        print(f"the first cutout tried: {stream.first_tried}", file=sys.stderr)
    is_good = flags == CutoutFlag.GOOD
    check_any(is_good, "fetched", folder / INDEX_NAME, flags=flags, offline=args.offline)


def _name_files(paths: Sequence[str | None], folder: Path) -> list[str | None]:
    """Name each row's file within the folder, and check that no two are the same."""
    names = [None if path is None else str(Path(path).relative_to(folder)) for path in paths]
    counts = Counter(name for name in names if name is not None)
    if counts and counts.most_common(1)[0][1] > 1:
        name, n = counts.most_common(1)[0]
        raise ValueError(
            f"{n} rows would be written to the same file {name!r}: choose a --pattern that names "
            "each row differently"
        )
    return names
