"""``shredfinder classify``: score a catalogue."""

import sys

import numpy as np

from shredfinder.cli.common import (
    add_catalogue_argument,
    add_cutout_arguments,
    add_output_arguments,
    add_position_argument,
    add_prior_argument,
    add_scoring_arguments,
    add_service_arguments,
    check_output,
    count,
    get_image_options,
    list_reasons,
    load_classifier,
)

__all__ = ["add_parser", "run", "summarize"]

_EPILOG = """\
examples:
  shredfinder classify candidates.fits -o scored.fits
  shredfinder classify candidates.fits --cutouts folder/ -o scored.fits
  shredfinder classify candidates.csv --cutouts folder/ --pattern "{ra:.5f}_{dec:.5f}.jpg" \\
      -o scored.ecsv --overwrite

Without --cutouts they are fetched by position, by default from the Legacy Surveys' viewer, and
kept in a cache, so that none is fetched twice. Scores are kept beside OUT until it is written:
after an interruption, --resume goes on with them. From FITS to FITS and from Parquet to Parquet,
memory hardly grows with the catalogue.

OUT holds every row of the catalogue, in order, with two more columns: p_cnn, the probability
that the source is a shred (NaN where there is no answer), and p_cnn_flag, which says why there
is none. The probability holds for a mix of 40 % shreds, as in the training set; with --prior it
is corrected for the share of shreds in the catalogue, about 0.05 in real ones.

--std adds p_cnn_std, the spread of the answer over eight rotations and reflections, for eight times
the work; --novelty adds p_cnn_novelty, which is above 1 for images unlike the training images.
"""


def add_parser(commands):
    """Add the command's parser."""
    parser = commands.add_parser(
        "classify",
        help="score a catalogue: the probability that each source is a shred",
        description="Score each row of a catalogue by its colour cutout.",
        epilog=_EPILOG,
    )
    add_catalogue_argument(
        parser,
        "catalogue",
        help="table of any format that astropy reads, by its extension "
        "(FITS, ECSV, VOTable, CSV, Parquet, HDF5, …)",
    )
    add_cutout_arguments(parser, required=False)
    add_prior_argument(parser)
    add_scoring_arguments(parser, counted=" in the summary")
    add_service_arguments(parser)
    add_position_argument(parser)
    add_output_arguments(parser, help="scored catalogue, its format by the extension")
    parser.add_argument(
        "--replace-columns",
        action="store_true",
        help="replace columns p_cnn and p_cnn_flag that shredfinder did not write",
    )
    parser.add_argument(
        "--std", action="store_true", help="add the column p_cnn_std: the spread over eight sides"
    )
    parser.add_argument(
        "--novelty",
        action="store_true",
        help="add the column p_cnn_novelty: above 1 for images unlike the training images",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on with an interrupted run, if there is one"
    )
    parser.add_argument(
        "--chunk-size",
        type=count,
        metavar="N",
        help="rows scored, and kept, at a time (default: 16384; 1024 from a remote service)",
    )
    return parser


def run(args):
    """Score a catalogue and write it."""
    from shredfinder.bulk import classify_catalogue, get_state_folder

    check_output(args.output, args.overwrite)
    images = _get_images(args)
    try:
        scored = classify_catalogue(
            args.catalogue,
            args.output,
            load_classifier(args.model),
            table=args.table,
            prior=args.prior,
            allow_other_colors=args.allow_other_colors,
            replace_columns=args.replace_columns,
            overwrite=args.overwrite,
            resume=args.resume,
            chunk_size=args.chunk_size,
            std=args.std,
            novelty=args.novelty,
            **images,
        )
    except KeyboardInterrupt:
        state = get_state_folder(args.output)
        if state.is_dir():
            args.interrupted = f"the scores so far are kept in {str(state)!r}: --resume goes on"
        raise
    print(summarize(scored, args.p_threshold), file=sys.stderr)
    if args.novelty:
        n_novel = np.count_nonzero(scored["p_cnn_novelty"] > 1)
        print(f"{n_novel} unlike the training images (p_cnn_novelty > 1)", file=sys.stderr)
    _hint_at_names(scored, **images)


def _get_images(args):
    """Collect where images come from, for `~shredfinder.bulk.classify_catalogue`."""
    images = get_image_options(args)
    if args.cutouts is None:
        images["position"] = args.position
    elif args.position is not None:
        raise ValueError(
            "--cutouts names a folder, so that nothing is fetched: leave out --position"
        )
    return images


def _hint_at_names(scored, cutouts=None, pattern=None, **_):
    """Show a name where not one file was found: the pattern is likely to be wrong."""
    from shredfinder.imaging import CutoutFlag
    from shredfinder.table import find_image_files

    if cutouts is None or not (scored["p_cnn_flag"] == CutoutFlag.MISSING).all():
        return
    for path in find_image_files(scored.template, cutouts, pattern):
        name = "no file name that is allowed" if path is None else repr(path)
        print(f"none of the files is there; the first row's would be {name}", file=sys.stderr)


def summarize(table, threshold):
    """Sum up a scored table in a line or two.

    Parameters
    ----------
    table : `~astropy.table.Table` or ScoredCatalogue
        With the columns ``p_cnn`` and ``p_cnn_flag``.
    threshold : float
        Sources at or above it count as shreds.

    Returns
    -------
    summary : str
        Numbers of sources scored, of shreds, and of those without an answer by reason.
    """
    p_cnn = np.asarray(table["p_cnn"])
    known = np.isfinite(p_cnn)
    n_shreds, n_scored = np.count_nonzero(p_cnn >= threshold), np.count_nonzero(known)
    share = f" ({n_shreds / n_scored:.1%})" if n_scored else ""
    n_flagged = np.count_nonzero(np.asarray(table["p_cnn_flag"])[known] != "")
    lines = [
        f"{len(table)} sources, {n_scored} scored: {n_shreds} shreds{share} with "
        f"p_cnn ≥ {threshold:g}"
    ]
    reasons = list_reasons(np.asarray(table["p_cnn_flag"])[~known])
    if reasons:
        lines.append(f"{len(table) - n_scored} without an answer: {reasons}")
    if n_flagged:
        lines.append(f"{n_flagged} scored by other colors than the model was trained on")
    return "\n".join(lines)
