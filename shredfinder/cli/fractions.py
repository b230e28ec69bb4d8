"""``shredfinder fractions``: the fraction of shreds that each preset of cuts leaves."""

import sys

from shredfinder.cli.common import (
    add_catalogue_argument,
    add_output_arguments,
    add_scoring_arguments,
    check_output,
    get_image_options,
)
from shredfinder.cli.pipeline_arguments import (
    SURVEYS,
    add_catalogue_images_arguments,
    add_host_arguments,
    read_hosts,
    score,
)

__all__ = ["add_parser", "run"]

_EPILOG = """\
examples:
  shredfinder fractions sweep-140p020-150p025.fits --hosts nsa -o fractions.ecsv
  shredfinder fractions scored.ecsv --survey sdss-dr17

The catalogue holds the survey's own columns, before any cut. Rows that pass at least one preset
are scored, unless there is a column p_cnn. The paper has 4 % for Legacy, and 7 % without the
limits on RCHISQ, near hosts.
"""


def add_parser(commands):
    """Add the command's parser."""
    parser = commands.add_parser(
        "fractions",
        help="fraction of shreds that each preset of cuts leaves in a catalogue",
        description="Apply each preset of cuts to a catalogue and count the shreds that it leaves.",
        epilog=_EPILOG,
    )
    add_catalogue_argument(parser, "catalogue", help="table with the survey's own columns")
    parser.add_argument(
        "--survey", choices=SURVEYS, default="legacy-dr9", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--cuts", metavar="PRESET", nargs="+", help="presets (default: all that there are)"
    )
    parser.add_argument("--ebv", type=float, metavar="MAG", help="E(B-V), for ps1-dr2")
    add_host_arguments(parser, default="none")
    add_scoring_arguments(parser)
    add_catalogue_images_arguments(parser)
    add_output_arguments(parser, help="table of the fractions", required=False)
    return parser


def run(args):
    """Read, score, count and print."""
    from shredfinder._utils.columns import find_column
    from shredfinder._utils.positions import get_positions
    from shredfinder.hosts import match_hosts
    from shredfinder.pipeline.preset_fractions import fractions_by_preset, read_passing
    from shredfinder.table import identify_format, write_catalogue

    if args.output is not None:
        check_output(args.output, args.overwrite)
        identify_format(args.output)
    images = get_image_options(args)
    rows = read_passing(
        args.catalogue,
        args.survey,
        presets=args.cuts,
        ebv=args.ebv,
        columns=["p_cnn", "p_cnn_flag", *(args.position or ())],
        table=args.table,
    )
    if (hosts := read_hosts(args)) is not None:
        coords = get_positions(rows, args.position)
        rows = rows[match_hosts(coords, hosts, args.host_radius)["index"]]
    if find_column(rows, "p_cnn", required=False) is None:
        score(rows, args, images)
    found = fractions_by_preset(rows, args.survey, presets=args.cuts, threshold=args.p_threshold)
    for name in ("shred_fraction", "shred_fraction_low", "shred_fraction_high"):
        found[name].info.format = ".4f"
    if args.output is not None:
        write_catalogue(found, args.output)
    print("\n".join(found.pformat(max_lines=-1, max_width=-1)))
    unscored = max(found["n_unscored"]) if len(found) else 0
    if unscored:
        print(f"up to {unscored} rows have no answer and are in no fraction", file=sys.stderr)
