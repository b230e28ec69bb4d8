"""``shredfinder classify``: score a catalogue."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from shredfinder.cli.arguments import (
    add_catalogue_argument,
    add_output_arguments,
    add_position_argument,
    add_prior_argument,
    add_scoring_arguments,
    check_any,
    check_output,
    column_or_number,
    count,
)
from shredfinder.cli.cutout_arguments import (
    add_cutout_arguments,
    add_service_arguments,
    get_image_options,
)

if TYPE_CHECKING:
    import argparse

__all__ = ["classify", "configure_classify"]

_NUMBERS = ("p_cnn", "p_cnn_std", "p_cnn_novelty", "p_other", "p_cnn_robust")
_EPILOG = """\
examples:
  shredfinder classify candidates.fits -o scored.fits
  shredfinder classify candidates.fits --cutouts folder/ -o scored.fits
  shredfinder classify candidates.csv --cutouts folder/ --pattern "{ra:.5f}_{dec:.5f}.jpg" \\
      -o scored.ecsv --overwrite
  shredfinder classify image.png

Without --cutouts, images are fetched by position, by default from the Legacy Surveys viewer. They
are cached, so repeated runs are fast. Scores are saved in a file next to OUT until OUT is written,
and --resume continues an interrupted run. If input and output are both FITS or both Parquet, memory
use hardly depends on the size of the catalogue.

OUT contains every row of the catalogue, in order, with two more columns. p_cnn is the probability
that the source is a shred, or NaN if the row is unscored. p_cnn_flag is the reason why it is
unscored. p_cnn assumes the training set's 38 % shred fraction. In real catalogues, the fraction is
a few per cent: if 5 % of the sources have p_cnn >= 0.5, about 2.6 % are shreds. --prior corrects
p_cnn for the fraction in your catalogue, and --prior estimate estimates it.

Dust in the Milky Way reddens the images, and hides shreds. The images are corrected for it if the
catalogue has a column ebv, E(B-V) of Schlegel, Finkbeiner & Davis (1998); --ebv names another.

--std adds p_cnn_std, the standard deviation over the 8 rotations and reflections of the image, at 8
times the cost. --novelty adds p_cnn_novelty, which is above 1 for images unlike the training set.
Stars, artefacts and blank sky are unscored, with the flag "not a galaxy". --other adds p_other,
their probability.
"""


def configure_classify(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = "Score each row of a catalogue by its colour cutout."
    parser.epilog = _EPILOG
    add_catalogue_argument(
        parser,
        "catalogue",
        help="table in any format that astropy reads, by its extension (FITS, ECSV, VOTable, CSV, "
        "Parquet, HDF5, …), or an image, or a folder of images, whose scores are printed",
    )
    add_cutout_arguments(parser, required=False)
    add_prior_argument(parser)
    add_scoring_arguments(parser)
    parser.add_argument(
        "--ebv",
        type=column_or_number,
        metavar="COLUMN",
        help="column of E(B-V), or one value in mag, for which the images are corrected (default: "
        "the column ebv, if there is one; 0 corrects nothing)",
    )
    add_service_arguments(parser)
    add_position_argument(parser)
    add_output_arguments(
        parser,
        help="scored catalogue, its format by the extension; optional for images",
        required=False,
    )
    parser.add_argument(
        "--replace-columns",
        action="store_true",
        help="replace columns p_cnn and p_cnn_flag that shredfinder did not write",
    )
    parser.add_argument(
        "--std",
        action="store_true",
        help="add p_cnn_std, the standard deviation over 8 rotations/reflections",
    )
    parser.add_argument(
        "--novelty",
        action="store_true",
        help="add p_cnn_novelty, above 1 for images unlike the training set",
    )
    parser.add_argument(
        "--other",
        action="store_true",
        help="add p_other, the probability of a star, an artefact or blank sky",
    )
    parser.add_argument(
        "--robust",
        action="store_true",
        help="add p_cnn_robust, the score of the model for poorer images",
    )
    parser.add_argument("--resume", action="store_true", help="continue an interrupted run, if any")
    parser.add_argument(
        "--chunk-size",
        type=count,
        metavar="N",
        help="rows scored and saved at a time (default: 16384; 1024 from a remote service)",
    )


def classify(args: argparse.Namespace) -> None:
    """Score a catalogue and write it, or score images and print their scores."""
    from shredfinder.imaging.reading import is_image_name

    if is_image_name(args.catalogue) or args.catalogue.is_dir():
        _classify_images(args)
        return
    if args.output is None:
        raise ValueError("the scores of a catalogue are written to a file: name it as -o OUT")
    _classify_catalogue(args)


def _classify_images(args: argparse.Namespace) -> None:
    """Score an image, or all images in a folder, and print their scores."""
    import numpy as np

    from shredfinder import ShredClassifier, ShredTable
    from shredfinder.imaging.reading import list_images
    from shredfinder.table import check_writing, write_catalogue
    from shredfinder.table.summaries import summarize_scores

    path = args.catalogue
    if not path.exists():
        raise FileNotFoundError(f"the image {str(path)!r} does not exist")
    if isinstance(args.ebv, str):
        raise ValueError(f"images have no column {args.ebv!r}: give one value as --ebv")
    given = {
        "--cutouts": args.cutouts,
        "--pattern": args.pattern,
        "--position": args.position,
        "--table": args.table,
        "--resume": args.resume,
        "--chunk-size": args.chunk_size,
    }
    for option, value in given.items():
        if value not in (None, False):
            kind = "a folder of images" if path.is_dir() else "an image"
            raise ValueError(
                f"{str(path)!r} is {kind}, not a catalogue: leave out {option}, or give a table"
            )
    # Refuses options for fetching.
    args.cutouts = path if path.is_dir() else path.parent
    get_image_options(args)
    paths = list_images(path) if path.is_dir() else [str(path)]
    table = ShredTable({"path": paths})
    if args.output is not None:
        check_output(args.output, args.overwrite)
        check_writing(table, args.output)
    table.add_p_cnn(
        ShredClassifier.load(args.model),
        paths,
        prior=args.prior,
        ebv=args.ebv,
        allow_other_colors=args.allow_other_colors,
        std=args.std,
        novelty=args.novelty,
        other=args.other,
        robust=args.robust,
    )
    if args.output is not None:
        write_catalogue(table, args.output)
    for row in table:
        parts = [f"{name} {row[name]:.3f}" for name in table.colnames if name in _NUMBERS]
        reason = f" ({row['p_cnn_flag']})" if row["p_cnn_flag"] else ""
        shown = ", ".join(parts) if np.isfinite(row["p_cnn"]) else "unscored"
        print(f"{row['path']}: {shown}{reason}")
    if len(table) > 1:
        print("\n".join(summarize_scores(table, args.p_threshold)), file=sys.stderr)
    check_any(np.isfinite(table["p_cnn"]), "scored", flags=table["p_cnn_flag"])


def _classify_catalogue(args: argparse.Namespace) -> None:
    import numpy as np

    from shredfinder import ShredClassifier
    from shredfinder.bulk import classify_catalogue, get_state_folder
    from shredfinder.bulk.state import remove_finished
    from shredfinder.table.summaries import summarize_scores

    remove_finished(args.output)
    # Errors that need no work come first.
    check_output(args.output, args.overwrite)
    images = get_image_options(args)
    if args.cutouts is None:
        images["position"] = args.position
    elif args.position is not None:
        raise ValueError("with --cutouts nothing is fetched: leave out --position")
    try:
        scored = classify_catalogue(
            args.catalogue,
            args.output,
            ShredClassifier.load(args.model),
            table=args.table,
            prior=args.prior,
            ebv=args.ebv,
            allow_other_colors=args.allow_other_colors,
            replace_columns=args.replace_columns,
            overwrite=args.overwrite,
            resume=args.resume,
            chunk_size=args.chunk_size,
            std=args.std,
            novelty=args.novelty,
            other=args.other,
            robust=args.robust,
            **images,
        )
    except KeyboardInterrupt:
        state = get_state_folder(args.output)
        if state.is_dir():
            again = "--overwrite --resume" if args.overwrite else "--resume"
            args.interrupted = f"the scores so far are in {str(state)!r}: {again} continues"
        raise
    print("\n".join(summarize_scores(scored, args.p_threshold)), file=sys.stderr)
    if args.prior == "estimate" and scored.prior is not None:
        print(f"p_cnn corrected to an estimated shred fraction of {scored.prior}", file=sys.stderr)
    if args.novelty:
        n_novel = np.count_nonzero(scored["p_cnn_novelty"] > 1)
        print(f"{n_novel} unlike the training set (p_cnn_novelty > 1)", file=sys.stderr)
    # A wrong pattern is the usual reason for no file at all.
    if args.cutouts is not None:
        _show_expected_name(scored, **images)
    # Of a catalogue without rows, classify_catalogue has warned.
    if len(scored):
        check_any(
            np.isfinite(scored["p_cnn"]),
            "scored",
            args.output,
            flags=scored["p_cnn_flag"],
            offline=args.offline,
        )


def _show_expected_name(scored: Any, cutouts: Any, pattern: str) -> None:
    """Print a file name if no file was found: the pattern is probably wrong."""
    from shredfinder.imaging import CutoutFlag
    from shredfinder.table import find_image_files

    if not (scored["p_cnn_flag"] == CutoutFlag.MISSING).all():
        return
    # The template has at most one row.
    for path in find_image_files(scored.template, cutouts, pattern):
        name = "no allowed file name" if path is None else repr(path)
        print(f"no file was found; the first row's would be {name}", file=sys.stderr)
