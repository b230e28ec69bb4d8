"""``shredfinder label``: label cutouts by eye, in the browser."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from shredfinder.cli.arguments import add_catalogue_argument, add_seed_argument, port
from shredfinder.cli.cutout_arguments import add_cutout_arguments

if TYPE_CHECKING:
    import argparse

__all__ = ["configure_label", "label"]

_EPILOG = """\
examples:
  shredfinder label pool.ecsv --cutouts folder/ -o labels.ecsv
  shredfinder label pool.ecsv --cutouts folder/ --labeller ben -o labels.ecsv

Open the printed URL in a browser. The page shows the whole cutout, its centre enlarged, and the
definition of each class. Press g (galaxy), s (shred) or o (other), then 1 (a guess), 2 (likely) or
3 (certain) to save the label. Other keys: u undoes, space skips, m hides the mark, z hides the
close-up, b brightens. Each label is saved immediately, with the labeller's name. Run the command
again to continue. Several labellers can share a file. Ctrl-C stops the server.
"""


def configure_label(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = "Show cutouts on a local page and save the labels entered there."
    parser.epilog = _EPILOG
    add_catalogue_argument(parser, "catalogue", help="table of the sources")
    add_cutout_arguments(parser, required=True)
    parser.add_argument(
        "-o", "--output", metavar="OUT", type=Path, required=True,
        help="labels, an .ecsv file; labels are added to an existing file",
    )  # fmt: skip
    parser.add_argument("--labeller", metavar="NAME", help="your name (default: the user name)")
    parser.add_argument(
        "--identifier",
        metavar="COLUMN",
        default="objID",
        help="column of source identifiers (default: %(default)s)",
    )
    parser.add_argument(
        "--in-order",
        action="store_true",
        help="show the sources in the table's order, not in random order",
    )
    add_seed_argument(
        parser, help="random seed of the order, which differs between labellers", default=0
    )
    parser.add_argument(
        "--port", type=port, default=0, help="port of the page (default: a free one)"
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def label(args: argparse.Namespace) -> None:
    """Serve the page until interrupted."""
    import numpy as np

    from shredfinder._utils.columns import find_column
    from shredfinder.labelling import LabellingPage, LabellingSession, LabelStore
    from shredfinder.table import find_image_files, read_catalogue

    table = read_catalogue(args.catalogue, args.table)
    # The table's own spelling, such as objid for objID.
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
    # Flushed, for programs that wait for the address.
    print(page.url, flush=True)
    print(
        f"labelling as {session.labeller}: {session.n_done} of {session.n_total} done; open the "
        "URL above in a browser, and stop with Ctrl-C",
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
