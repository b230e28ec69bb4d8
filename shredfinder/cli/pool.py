"""``shredfinder pool``: sources to be labelled by eye."""

import sys

import numpy as np

from shredfinder.cli.common import (
    add_catalogue_argument,
    add_output_arguments,
    add_scoring_arguments,
    check_output,
    count,
    fraction,
    get_image_options,
    seed,
)
from shredfinder.cli.pipeline_arguments import (
    add_catalogue_images_arguments,
    add_host_arguments,
    read_hosts,
    score,
)

__all__ = ["add_parser", "run"]

_EPILOG = """\
examples:
  shredfinder pool candidates.fits -n 5000 -o pool.ecsv
  shredfinder pool scored.fits --hosts my_hosts.csv -n 500 --random-state 7 -o pool.ecsv

As the paper's training set was made: candidates within 100 kpc of a host, so many of those that a
first model takes for shreds that they are near 40 % of the pool. Rows are scored, unless there is a
column p_cnn. The pool is in random order, with an empty column label.
"""


def add_parser(commands):
    """Add the command's parser."""
    parser = commands.add_parser(
        "pool",
        help="draw a balanced pool of sources to be labelled by eye",
        description="Draw candidates near hosts to be labelled, balanced by a first model.",
        epilog=_EPILOG,
    )
    add_catalogue_argument(parser, "catalogue", help="table of candidates with their positions")
    parser.add_argument(
        "-n", "--size", type=count, default=5000, help="sources in the pool (default: %(default)s)"
    )
    parser.add_argument(
        "--shred-share",
        type=fraction,
        default=0.4,
        metavar="FRACTION",
        help="share of sources that the model takes for shreds (default: %(default)s)",
    )
    parser.add_argument(
        "--random-state",
        type=seed,
        default=1,
        metavar="SEED",
        help="seed of the choice (default: %(default)s)",
    )
    add_host_arguments(parser, default="nsa")
    add_scoring_arguments(parser)
    add_catalogue_images_arguments(parser)
    add_output_arguments(parser, help="the pool, its format by the extension")
    return parser


def run(args):
    """Tie to hosts, score, draw and write."""
    from shredfinder.hosts import join_hosts
    from shredfinder.pipeline import build_pool
    from shredfinder.table import check_writing, identify_format, read_catalogue, write_catalogue

    check_output(args.output, args.overwrite)
    identify_format(args.output)
    images = get_image_options(args)
    rows = read_catalogue(args.catalogue, args.table)
    if (hosts := read_hosts(args)) is not None:
        rows = join_hosts(rows, hosts, args.host_radius, position=args.position)
        # The galaxies themselves are no candidates.
        rows = rows[~np.asarray(rows["host_entry"])]
    check_writing(rows, args.output)
    if "p_cnn" not in rows.colnames:
        score(rows, args, images)
    pool = build_pool(
        rows,
        args.size,
        shred_share=args.shred_share,
        threshold=args.p_threshold,
        random_state=args.random_state,
        position=args.position,
    )
    write_catalogue(pool, args.output)
    shreds = np.count_nonzero(np.asarray(pool["p_cnn"]) >= args.p_threshold)
    print(
        f"{len(pool)} sources to label of {len(rows)} near hosts; the model takes {shreds} "
        f"({shreds / max(len(pool), 1):.0%}) for shreds: {args.output}",
        file=sys.stderr,
    )
