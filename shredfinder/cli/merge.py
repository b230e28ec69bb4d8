"""``shredfinder merge``: one row per galaxy, with the photometry of its shreds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from shredfinder.cli.arguments import (
    add_catalogue_argument,
    add_host_table_argument,
    add_output_arguments,
    add_position_argument,
    add_survey_argument,
    add_threshold_argument,
    check_output,
    load_hosts,
)
from shredfinder.cli.cutout_arguments import DEFAULT_PATTERN, add_cutout_arguments

if TYPE_CHECKING:
    import argparse

    from shredfinder.cutouts import CutoutFetcher
    from shredfinder.imaging import CutoutSequence
    from shredfinder.table import ShredTable

__all__ = ["configure_merge", "merge"]

_EPILOG = """\
examples:
  shredfinder merge scored.fits -o galaxies.fits
  shredfinder merge scored.fits --cutouts folder/ -o galaxies.fits
  shredfinder merge scored.fits --hosts nsa --parents parents.ecsv -o galaxies.fits
  shredfinder merge scored.fits --method image --images bricks/ -o galaxies.fits

Each shred (p_cnn >= P) is assigned to its galaxy, and the fluxes are summed. OUT has one row per
galaxy, with n_shreds, shred_ids, merge_kind and merge_flag. If all entries of a galaxy are shreds,
it gets a new row (a recovered galaxy). With --cutouts, the light in the cutouts shows which sources
belong together; the folder can be written by shredfinder fetch. With --method image, galaxies with
shreds are measured in FITS images, and OUT also has half_light_radius. Both options need photutils.
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
    parser.add_argument(
        "--method",
        choices=("catalog", "image"),
        default="catalog",
        help="catalog: add up the catalogue's fluxes; image: measure galaxies with shreds in "
        "images (default: %(default)s)",
    )
    parser.add_argument(
        "--images",
        metavar="SOURCE",
        help="for --method image: a folder of bricks or FITS images in nanomaggies, or a service "
        "of fluxes, legacy or sdss-frames (default: legacy)",
    )
    parser.add_argument(
        "--base-url", metavar="URL", help="another URL for that service, such as a mirror"
    )
    add_cutout_arguments(parser, required=False)
    add_survey_argument(parser, of="the cutouts' colours")
    add_position_argument(parser)
    add_output_arguments(parser, help="table of galaxies, its format by the extension")
    parser.add_argument(
        "--parents", metavar="FILE", help="also write a table with the parent of each row"
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
    images = _open_images(args)
    table = read_catalogue(args.catalogue, args.table)
    check_writing(table, args.output)
    options = {"id_column": args.id, "position": args.position, "hosts": load_hosts(args)}
    parents = find_parents(table, _open_cutouts(table, args), threshold=args.p_threshold, **options)
    merged = merge_shreds(table, args.method, parents=parents, images=images, **options)
    write_catalogue(merged, args.output)
    if args.parents:
        write_catalogue(parents, outputs[1])
    kinds = np.asarray(merged["merge_kind"])
    with_shreds = np.count_nonzero((kinds == "galaxy") & (np.asarray(merged["n_shreds"]) > 0))
    print(
        f"merged {len(table)} sources, {int(np.sum(merged['n_shreds']))} of them shreds, into "
        f"{len(merged)} galaxies: {with_shreds} with shreds, and "
        f"{np.count_nonzero(kinds != 'galaxy')} recovered from shreds only\n"
        f"wrote {args.output}",
        file=sys.stderr,
    )
    if args.method == "image":
        n_measured = np.count_nonzero(np.isfinite(merged["half_light_radius"]))
        print(f"{n_measured} galaxies measured in images", file=sys.stderr)
    n_flagged = np.count_nonzero(np.asarray(merged["merge_flag"]) != "")
    if n_flagged:
        print(f"{n_flagged} flagged (column merge_flag)", file=sys.stderr)


def _open_images(args: argparse.Namespace) -> CutoutFetcher | str | None:
    """Return the source of images for the photometry; None for the default, or for no images."""
    from shredfinder.cutouts import CutoutFetcher, available_services
    from shredfinder.surveys import SURVEYS

    if args.method != "image":
        if args.images is not None or args.base_url is not None:
            raise ValueError("--images and --base-url are for --method image")
        return None
    if args.base_url is None:
        return args.images
    name = args.images or "legacy"
    if name not in {*available_services(), *SURVEYS}:
        raise ValueError(f"--base-url is the address of a service, but --images is {name!r}")
    options = {"image_format": "fits"} if name == "legacy" else None
    return CutoutFetcher(name, base_url=args.base_url, service_options=options)


def _open_cutouts(table: ShredTable, args: argparse.Namespace) -> CutoutSequence | None:
    """Return the cutouts of the rows from a folder, or None."""
    from shredfinder.imaging import ImageFiles
    from shredfinder.surveys import get_survey
    from shredfinder.table import find_image_files

    if args.cutouts is None:
        if args.pattern is not None:
            raise ValueError("--pattern names files in a folder: give the folder as --cutouts")
        return None
    survey = get_survey(args.survey)
    return ImageFiles(
        find_image_files(table, args.cutouts, args.pattern or DEFAULT_PATTERN),
        size=(survey.size, survey.size),
        pixel_scale=survey.pixel_scale,
        bands=survey.bands,
        color_mapping=survey.color_mapping,
    )
