"""``shredfinder fractions`` and ``shredfinder pool``: statistics and samples of candidates."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from shredfinder.cli.arguments import (
    add_catalogue_argument,
    add_host_arguments,
    add_output_arguments,
    add_position_argument,
    add_scoring_arguments,
    add_seed_argument,
    add_survey_argument,
    check_output,
    count,
    fraction,
    load_hosts,
)
from shredfinder.cli.cutout_arguments import (
    add_cutout_arguments,
    add_service_arguments,
    get_image_options,
)

if TYPE_CHECKING:
    import argparse

    from shredfinder.table import ShredTable

__all__ = ["configure_fractions", "configure_pool", "fractions", "pool"]

_FRACTIONS_EPILOG = """\
examples:
  shredfinder fractions sweep-140p020-150p025.fits --hosts nsa -o fractions.ecsv
  shredfinder fractions scored.ecsv --survey sdss-dr17

The catalogue holds the survey's own columns, before any cut. Rows that pass at least one preset are
scored, unless the catalogue has a column p_cnn. Di Teodoro, Peek & Wu (2023) find 4 % for Legacy
near hosts, and 7 % without the limits on RCHISQ.
"""
_POOL_EPILOG = """\
examples:
  shredfinder pool candidates.fits -n 5000 -o pool.ecsv
  shredfinder pool scored.fits --hosts my_hosts.csv -n 500 --random-state 7 -o pool.ecsv

The pool is drawn as the paper's training set: candidates within 100 kpc of a host, of which a first
model classifies 40 % as shreds. Rows are scored, unless the catalogue has a column p_cnn. The pool
is in random order, with an empty column label.
"""


def configure_fractions(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``fractions``."""
    parser.description = "Apply each preset of cuts to a catalogue and compute its shred fraction."
    parser.epilog = _FRACTIONS_EPILOG
    add_catalogue_argument(parser, "catalogue", help="table with the survey's own columns")
    add_survey_argument(parser)
    parser.add_argument("--cuts", metavar="PRESET", nargs="+", help="presets (default: all)")
    parser.add_argument("--ebv", type=float, metavar="MAG", help="E(B-V), for ps1-dr2")
    add_host_arguments(parser, default="none")
    _add_image_arguments(parser)
    add_output_arguments(parser, help="table of the fractions", required=False)


def fractions(args: argparse.Namespace) -> None:
    """Compute and print the shred fraction after each preset of cuts."""
    from shredfinder._utils.columns import find_column
    from shredfinder.hosts import match_hosts
    from shredfinder.pipeline import fractions_by_preset, read_passing
    from shredfinder.table import get_positions, identify_format, write_catalogue

    if args.output is not None:
        check_output(args.output, args.overwrite)
        # An unknown output format is an error before the work.
        identify_format(args.output)
    images = get_image_options(args)
    # Only columns that are needed, which keeps memory low.
    rows = read_passing(
        args.catalogue,
        args.survey,
        presets=args.cuts,
        ebv=args.ebv,
        columns=["p_cnn", "p_cnn_flag", *(args.position or ())],
        table=args.table,
    )
    if (hosts := load_hosts(args)) is not None:
        coords = get_positions(rows, args.position)
        # One row per matched candidate, in order.
        matches = match_hosts(coords, hosts, args.host_radius, distance=args.distance)
        rows = rows[matches["index"]]
    # Existing scores are used.
    if find_column(rows, "p_cnn", required=False) is None:
        _score(rows, args, images)
    found = fractions_by_preset(rows, args.survey, presets=args.cuts, threshold=args.p_threshold)
    if args.output is not None:
        write_catalogue(found, args.output)
    # After writing, since text files hold what is shown.
    for name in ("shred_fraction", "shred_fraction_low", "shred_fraction_high"):
        found[name].info.format = ".4f"
    print("\n".join(found.pformat(max_lines=-1, max_width=-1)))
    unscored = max(found["n_unscored"]) if len(found) else 0
    if unscored:
        print(
            f"up to {unscored} rows are unscored, and excluded from the fractions", file=sys.stderr
        )


def configure_pool(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``pool``."""
    parser.description = "Draw candidates near hosts to label, balanced by a first model's scores."
    parser.epilog = _POOL_EPILOG
    add_catalogue_argument(parser, "catalogue", help="table of candidates with their positions")
    parser.add_argument(
        "-n", "--size", type=count, default=5000, help="sources in the pool (default: %(default)s)"
    )
    parser.add_argument(
        "--shred-share",
        type=fraction,
        default=0.4,
        metavar="FRACTION",
        help="fraction of the pool that the model classifies as shreds (default: %(default)s)",
    )
    add_seed_argument(parser, help="random seed of the pool")
    add_host_arguments(parser, default="nsa")
    _add_image_arguments(parser)
    add_output_arguments(parser, help="the pool, its format by the extension")


def pool(args: argparse.Namespace) -> None:
    """Match to hosts, score, draw and write a pool."""
    import numpy as np

    from shredfinder._utils.table_files import warn_of_lost_parts
    from shredfinder._utils.validation import quantify
    from shredfinder.hosts import join_hosts
    from shredfinder.pipeline import build_pool
    from shredfinder.pipeline.pool import POOL_COLUMNS, check_pool_columns
    from shredfinder.table import check_writing, identify_format, read_catalogue, write_catalogue

    check_output(args.output, args.overwrite)
    identify_format(args.output)
    images = get_image_options(args)
    rows = read_catalogue(args.catalogue, args.table)
    check_pool_columns(rows)
    warn_of_lost_parts(args.catalogue, args.table)
    if (hosts := load_hosts(args)) is not None:
        rows = join_hosts(
            rows, hosts, args.host_radius, distance=args.distance, position=args.position
        )
        # The entries of the hosts themselves are not candidates.
        rows = rows[~np.asarray(rows["host_entry"])]
    check_writing(rows, args.output, added=("p_cnn", "p_cnn_flag", *POOL_COLUMNS))
    if "p_cnn" not in rows.colnames:
        _score(rows, args, images)
    drawn = build_pool(
        rows,
        args.size,
        shred_share=args.shred_share,
        threshold=args.p_threshold,
        random_state=args.random_state,
        position=args.position,
    )
    write_catalogue(drawn, args.output)
    n_shreds = np.count_nonzero(np.asarray(drawn["p_cnn"]) >= args.p_threshold)
    print(
        f"{quantify(len(drawn), 'source')} to label, of {quantify(len(rows), 'candidate')}; the "
        f"model scores {quantify(n_shreds, 'shred')} ({n_shreds / max(len(drawn), 1):.0%}): "
        f"{args.output}",
        file=sys.stderr,
    )


def _add_image_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for scoring a catalogue's rows."""
    add_scoring_arguments(parser)
    add_cutout_arguments(parser, required=False)
    add_service_arguments(parser)
    add_position_argument(parser)


def _score(rows: ShredTable, args: argparse.Namespace, images: dict[str, Any]) -> None:
    """Score a catalogue's rows in place."""
    from shredfinder import ShredClassifier

    if "service" in images:
        images = images | {"position": args.position}
    classifier = ShredClassifier.load(args.model)
    rows.add_p_cnn(classifier, allow_other_colors=args.allow_other_colors, **images)
