"""What several commands share: tables and cutouts in, files out."""

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = [
    "DEFAULT_PATTERN",
    "add_catalogue_argument",
    "add_cutout_arguments",
    "add_output_arguments",
    "add_pattern_argument",
    "add_position_argument",
    "add_prior_argument",
    "add_scoring_arguments",
    "add_service_arguments",
    "add_training_arguments",
    "check_output",
    "count",
    "fraction",
    "get_fetch_options",
    "get_image_options",
    "list_reasons",
    "load_classifier",
    "make_classifier",
    "read_training_data",
    "seed",
]

DEFAULT_PATTERN = "{objID}.png"


def fraction(text):
    """Take an argument that is a number from 0 to 1."""
    return _parse(text, float, lambda value: 0 <= value <= 1, "a fraction between 0 and 1")


def prior(text):
    """Take an argument that is a share of shreds, or says that it is to be estimated."""
    if text == "estimate":
        return text
    try:
        return fraction(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}; 'estimate' is possible too") from None


def count(text):
    """Take an argument that is a number of things, at least one."""
    return _parse(text, int, lambda value: value >= 1, "a whole number of 1 or more")


def seed(text):
    """Take an argument that seeds random numbers."""
    return _parse(text, int, lambda value: 0 <= value < 2**32, "a whole number from 0 to 2³² − 1")


def _parse(text, kind, is_valid, expected):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not is_valid(value):
        raise argparse.ArgumentTypeError(f"must be {expected}, not {text!r}")
    return value


def add_catalogue_argument(parser, name, *, help):
    """Add the argument that names a table, and the one that chooses among several in a file."""
    parser.add_argument(name, type=Path, help=help)
    parser.add_argument(
        "--table",
        metavar="NAME",
        help="which table of a file that holds several: number or name of a FITS extension, "
        "number (from 0 on) or ID in a VOTable, path in an HDF5 file",
    )


def add_cutout_arguments(parser, *, required, pattern=DEFAULT_PATTERN):
    """Add the arguments that say where the cutouts are."""
    parser.add_argument(
        "--cutouts",
        metavar="DIR",
        type=Path,
        required=required,
        help="folder of colour cutouts (PNG, JPEG, …), one a row",
    )
    # Where the folder may be left out, a pattern without it must be told from none.
    add_pattern_argument(parser, pattern, default=pattern if required else None)


def add_pattern_argument(parser, pattern=DEFAULT_PATTERN, *, default=DEFAULT_PATTERN):
    """Add the argument that says how files are named."""
    parser.add_argument(
        "--pattern",
        default=default,
        help=f'file name in DIR, with columns in braces (default: "{pattern}")',
    )


def add_model_argument(parser):
    """Add the argument that says which model scores."""
    parser.add_argument(
        "--model",
        metavar="PATH",
        type=Path,
        help="model file, or 'robust' for the package's model for poorer images (default: the "
        "embedded model)",
    )


def add_scoring_arguments(parser, *, counted=""):
    """Add the arguments that say how sources are scored, and where the shreds are counted."""
    add_model_argument(parser)
    parser.add_argument(
        "--p-threshold",
        type=fraction,
        default=0.5,
        metavar="P",
        help=f"sources at or above it count as shreds{counted} (default: %(default)s)",
    )
    parser.add_argument(
        "--allow-other-colors",
        action="store_true",
        help="score another survey's colours too, and flag those rows",
    )


def add_prior_argument(parser):
    """Add the argument that says how rare shreds are."""
    parser.add_argument(
        "--prior",
        type=prior,
        metavar="FRACTION",
        help="share of shreds in the catalogue to correct for, or 'estimate'",
    )


def add_service_arguments(parser):
    """Add the arguments that say where cutouts are fetched from."""
    group = parser.add_argument_group("fetching cutouts")
    group.add_argument(
        "--service",
        metavar="NAME",
        help="legacy, hips, sia, ps1, sdss or local (default: that of the model's survey: legacy)",
    )
    group.add_argument("--layer", help="which of the service's images, such as ls-dr9-south")
    group.add_argument(
        "--base-url",
        metavar="URL",
        help="another address of the service, such as a mirror's; for --service local the folder "
        "of FITS images",
    )
    group.add_argument(
        "--cache", metavar="DIR", type=Path, help="folder of the cache (default: in astropy's)"
    )
    group.add_argument(
        "--rate", type=float, metavar="N", help="requests a second, at most (0: no limit)"
    )
    group.add_argument("--offline", action="store_true", help="ask the cache only")


def add_position_argument(parser):
    """Add the argument that says which columns of a catalogue are the positions."""
    parser.add_argument(
        "--position",
        nargs=2,
        metavar=("RA", "DEC"),
        help="columns of the positions, where they are not found by themselves",
    )


def get_fetch_options(args):
    """Collect what the service arguments say, for `~shredfinder.cutouts.fetch_cutouts`."""
    options = {name: getattr(args, name) for name in ("service", "layer", "base_url", "cache")}
    options = {name: value for name, value in options.items() if value is not None}
    if args.rate is not None:
        if args.rate < 0:
            raise ValueError(f"--rate must be a number of requests a second, not {args.rate:g}")
        options["rate"] = args.rate or None
    if args.offline:
        options["offline"] = True
    return options


def get_image_options(args, pattern=DEFAULT_PATTERN):
    """Collect where images come from: ``fetch``, or ``cutouts`` and ``pattern``.

    Parameters
    ----------
    args : `~argparse.Namespace`
        With what the arguments of cutouts and of services say.
    pattern : str, optional
        How files are named, where no argument says it.

    Returns
    -------
    images : dict
        Arguments of `~shredfinder.add_p_cnn`.

    Raises
    ------
    ValueError
        If what was given contradicts itself.
    """
    fetch = get_fetch_options(args)
    if args.cutouts is None:
        if args.pattern is not None:
            raise ValueError("--pattern names files in a folder: give the folder as --cutouts")
        return {"fetch": fetch}
    if fetch:
        given = " and ".join(f"--{name.replace('_', '-')}" for name in fetch)
        raise ValueError(f"--cutouts names a folder, so that nothing is fetched: leave out {given}")
    return {"cutouts": args.cutouts, "pattern": args.pattern or pattern}


def add_output_arguments(parser, *, help, required=True, metavar="OUT"):
    """Add the arguments that say what is written."""
    parser.add_argument("-o", "--output", metavar=metavar, type=Path, required=required, help=help)
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")


def check_output(path, overwrite):
    """Find out that a file can't be written before the work is done.

    Parameters
    ----------
    path : `~pathlib.Path`
        The output file.
    overwrite : bool
        Whether it may exist.

    Raises
    ------
    FileExistsError
        If it exists and may not, or is no regular file, such as a device.
    FileNotFoundError
        If its folder does not exist.
    """
    if path.is_dir():
        raise IsADirectoryError(f"the output {str(path)!r} is a folder: name a file")
    if path.exists() and not path.is_file():
        raise FileExistsError(f"the output {str(path)!r} is a device or pipe: name a file")
    if path.exists() and not overwrite:
        raise FileExistsError(f"the output {str(path)!r} exists: add --overwrite to replace it")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"the output {str(path)!r} can't be written: there is no folder {str(path.parent)!r}"
        )


def list_reasons(flags):
    """List the reasons among flags, the most frequent first, such as ``2 blank, 1 missing``."""
    return ", ".join(f"{n} {reason}" for reason, n in Counter(flags.tolist()).most_common())


def load_classifier(path):
    """Load a model file, or the embedded model where there is none."""
    from shredfinder.classifier import ShredClassifier

    return ShredClassifier.load(path)


def add_training_arguments(parser):
    """Add the arguments that say how a model is trained, and on what."""
    from shredfinder.models.architectures import ARCHITECTURES
    from shredfinder.training.recipes import RECIPES

    training = parser.add_argument_group("training")
    training.add_argument(
        "--label", default="label", metavar="COLUMN", help="column of labels (default: %(default)s)"
    )
    training.add_argument("--weight", metavar="COLUMN", help="column of weights in the loss")
    training.add_argument(
        "--groups",
        metavar="COLUMN",
        help="column of groups, such as neighbours on the sky, that stay in one part of a split",
    )
    training.add_argument(
        "--architecture",
        choices=sorted(ARCHITECTURES),
        default="compact",
        help="network (default: %(default)s)",
    )
    training.add_argument(
        "--survey", default="legacy-dr9", help="survey of the cutouts (default: %(default)s)"
    )
    training.add_argument(
        "--recipe",
        choices=sorted(RECIPES),
        help="how the network is trained (default: that of the network)",
    )
    training.add_argument("--epochs", type=count, help="passes through the images, at most")
    training.add_argument("--batch-size", type=count, metavar="N", help="images a step")
    training.add_argument(
        "--random-state",
        type=seed,
        default=1,
        metavar="SEED",
        help="seed that makes the training repeatable (default: %(default)s)",
    )
    training.add_argument(
        "--checkpoint", type=Path, metavar="DIR", help="folder of the training's state"
    )


@dataclass
class TrainingData:
    """A labelled table and what a training takes of it."""

    table: object
    paths: list
    labels: object
    judged_by: object
    weights: object
    groups: object


def read_training_data(args):
    """Read a labelled table and find its cutouts; all columns that were named are looked up."""
    from shredfinder.table import find_image_files, read_catalogue

    table = read_catalogue(args.labels, args.table)

    def take(column):
        if column is None:
            return None
        if column not in table.colnames:
            raise ValueError(
                f"the table {str(args.labels)!r} has no column {column!r}: choose one of "
                f"{', '.join(table.colnames)}"
            )
        return table[column]

    weights, groups = take(args.weight), take(args.groups)
    return TrainingData(
        table,
        find_image_files(table, args.cutouts, args.pattern),
        take(args.label),
        take(args.judge),
        None if weights is None else np.asarray(weights),
        None if groups is None else np.asarray(groups),
    )


def make_classifier(args):
    """Make the classifier that the training arguments ask for."""
    from shredfinder.classifier import ShredClassifier

    return ShredClassifier(args.architecture, args.survey, random_state=args.random_state)
