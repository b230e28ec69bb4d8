"""``shredfinder label``: label cutouts by eye, on a page in the browser."""

import getpass
import sys
from pathlib import Path

from shredfinder.cli.common import add_catalogue_argument, add_cutout_arguments, seed

__all__ = ["add_parser", "run"]

_EPILOG = """\
examples:
  shredfinder label pool.ecsv --cutouts folder/ -o labels.ecsv
  shredfinder label pool.ecsv --cutouts folder/ --labeller ben -o labels.ecsv

Open the address that it prints. Keys: g (galaxy), s (shred) or o (other), then 1 (a guess),
2 (likely) or 3 (certain), which saves; u takes back, space skips, m hides the mark, z zooms,
b brightens. Each answer is saved at once, a row each with the labeller's name; run it again to go
on. Several labellers share a file. Ctrl-C ends it.
"""


def add_parser(commands):
    """Add the command's parser."""
    parser = commands.add_parser(
        "label",
        help="label cutouts by eye, on a page in the browser",
        description="Show cutouts on a page of this machine and save what they are seen as.",
        epilog=_EPILOG,
    )
    add_catalogue_argument(parser, "catalogue", help="table of the sources")
    add_cutout_arguments(parser, required=True)
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, required=True,
        help="answers, an .ecsv file; if it holds some already, they are kept and added to",
    )  # fmt: skip
    parser.add_argument("--labeller", metavar="NAME", help="who labels (default: the user's name)")
    parser.add_argument(
        "--identifier",
        metavar="COLUMN",
        default="objID",
        help="column that names a source (default: %(default)s)",
    )
    parser.add_argument(
        "--in-order", action="store_true", help="show the sources in the table's order, not blind"
    )
    parser.add_argument(
        "--random-state",
        type=seed,
        default=0,
        metavar="SEED",
        help="seed of the order, which is another for each labeller (default: %(default)s)",
    )
    parser.add_argument(
        "--port", type=_port, default=0, help="port of the page (default: a free one)"
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    return parser


def run(args):
    """Serve the page until interrupted."""
    import numpy as np

    from shredfinder._utils.columns import find_column
    from shredfinder.labelling import LabellingPage, LabellingSession, LabelStore
    from shredfinder.table import find_image_files, read_catalogue

    table = read_catalogue(args.catalogue, args.table)
    identifier = find_column(table, args.identifier)
    session = LabellingSession(
        table[identifier],
        LabelStore(args.output, identifier),
        args.labeller or getpass.getuser(),
        random_state=args.random_state,
        order=np.arange(len(table)) if args.in_order else None,
    )
    paths = find_image_files(table, args.cutouts, args.pattern)
    page = LabellingPage(session, paths, port=args.port)
    print(page.url, flush=True)
    print(
        f"labelling as {session.labeller}: {session.n_done} of {session.n_total} done; open the "
        "address above, end with Ctrl-C",
        file=sys.stderr,
        flush=True,
    )
    if args.open:
        import webbrowser

        webbrowser.open(page.url)
    page.serve()
    print(
        f"{session.n_done} of {session.n_total} sources are labelled in {args.output}",
        file=sys.stderr,
    )


def _port(text):
    import argparse

    if text.isdecimal() and int(text) < 2**16:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535, not {text!r}")
