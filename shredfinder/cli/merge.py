"""``shredfinder merge``: one row per galaxy, with the photometry of its shreds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from shredfinder.cli.arguments import (
    add_catalogue_argument,
    add_host_table_argument,
    add_output_arguments,
    add_position_argument,
    add_threshold_argument,
    check_output,
    load_hosts,
)
from shredfinder.cli.cutout_arguments import DEFAULT_PATTERN, add_cutout_arguments

if TYPE_CHECKING:
    import argparse

    from shredfinder.imaging import CutoutSequence
    from shredfinder.table import ShredTable

__all__ = ["configure_merge", "merge"]

_EPILOG = """\
examples:
  shredfinder merge scored.fits -o galaxies.fits
  shredfinder merge scored.fits --cutouts folder/ -o galaxies.fits
  shredfinder merge scored.fits --hosts nsa --parents parents.ecsv -o galaxies.fits

Each shred (p_cnn >= P) is assigned to its galaxy, and the fluxes are added up. OUT holds one row
per galaxy, with n_shreds, shred_ids, merge_kind and merge_flag. Shreds without a galaxy become a
recovered galaxy. With --cutouts, a folder of colour cutouts of the Legacy Surveys as written by
shredfinder fetch, light decides which sources are connected; this needs photutils.
"""


def configure_merge(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = "Merge the shreds of a scored catalogue with their galaxies."
    parser.epilog = _EPILOG
    add_catalogue_argument(
        parser, "catalogue", help="scored table, with positions, p_cnn, and fluxes or magnitudes"
    )
    add_threshold_argument(parser)
    add_host_table_argument(
        parser, default="none", columns="of galaxies with petro_th90, petro_ba90 and petro_phi90"
    )
    parser.add_argument(
        "--id", metavar="COLUMN", help="column of unique identifiers (default: found by name)"
    )
    add_cutout_arguments(parser, required=False)
    add_position_argument(parser)
    add_output_arguments(parser, help="table of galaxies, its format by the extension")
    parser.add_argument(
        "--parents", metavar="FILE", help="write the parent of each row to this table, too"
    )


def merge(args: argparse.Namespace) -> None:
    """Find the parents, add up the photometry and write the galaxies."""
    from pathlib import Path

    import numpy as np

    from shredfinder.hosts import find_parents, merge_shreds
    from shredfinder.table import check_writing, identify_format, read_catalogue, write_catalogue

    outputs = [args.output, *([Path(args.parents)] if args.parents else [])]
    for path in outputs:
        check_output(path, args.overwrite)
        identify_format(path)
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise ValueError("--parents and --output name the same file: choose different ones")
    table = read_catalogue(args.catalogue, args.table)
    check_writing(table, args.output)
    options = {"id_column": args.id, "position": args.position, "hosts": load_hosts(args)}
    parents = find_parents(table, _open_cutouts(table, args), threshold=args.p_threshold, **options)
    merged = merge_shreds(table, parents=parents, **options)
    write_catalogue(merged, args.output)
    if args.parents:
        write_catalogue(parents, outputs[1])
    kinds = np.asarray(merged["merge_kind"])
    with_shreds = np.count_nonzero((kinds == "galaxy") & (np.asarray(merged["n_shreds"]) > 0))
    print(
        f"{len(table)} sources, {int(np.sum(merged['n_shreds']))} of them shreds: {len(merged)} "
        f"galaxies, {with_shreds} of them with shreds and {np.count_nonzero(kinds != 'galaxy')} "
        f"recovered, whose entries are all shreds: {args.output}",
        file=sys.stderr,
    )
    n_flagged = np.count_nonzero(np.asarray(merged["merge_flag"]) != "")
    if n_flagged:
        print(f"{n_flagged} lack the flux of an entry (merge_flag)", file=sys.stderr)


def _open_cutouts(table: ShredTable, args: argparse.Namespace) -> CutoutSequence | None:
    """Return the cutouts of the rows from a folder, or None."""
    from shredfinder.imaging import ImageFiles
    from shredfinder.surveys import DEFAULT_SURVEY, get_survey
    from shredfinder.table import find_image_files

    if args.cutouts is None:
        if args.pattern is not None:
            raise ValueError("--pattern names files in a folder: give the folder as --cutouts")
        return None
    survey = get_survey(DEFAULT_SURVEY)
    return ImageFiles(
        find_image_files(table, args.cutouts, args.pattern or DEFAULT_PATTERN),
        size=(survey.size, survey.size),
        pixel_scale=survey.pixel_scale,
        bands=survey.bands,
        color_mapping=survey.color_mapping,
    )
