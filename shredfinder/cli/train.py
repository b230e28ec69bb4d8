"""``shredfinder train``: make a model from labelled cutouts."""

import sys

from shredfinder.cli.common import (
    add_catalogue_argument,
    add_cutout_arguments,
    add_output_arguments,
    add_training_arguments,
    check_output,
    load_classifier,
    make_classifier,
    read_training_data,
)
from shredfinder.surveys import get_survey

__all__ = ["add_parser", "run"]

_EPILOG = """\
examples:
  shredfinder train labels.ecsv --cutouts folder/ -o mine.shredmodel
  shredfinder train labels.ecsv --cutouts folder/ --architecture published \\
      --checkpoint state/ -o published.shredmodel
  shredfinder train few.ecsv --cutouts folder/ --start embedded -o tuned.shredmodel

Training needs a backend: pip install 'shredfinder[jax]' (or torch, or tensorflow). Rows that are
labelled neither galaxy nor shred are left out. With --checkpoint, a training that was
interrupted goes on where it stopped.
"""


def add_parser(commands):
    """Add the command's parser."""
    parser = commands.add_parser(
        "train",
        help="train a model on labelled cutouts",
        description="Train a network on a labelled table and a folder of cutouts.",
        epilog=_EPILOG,
    )
    add_catalogue_argument(parser, "labels", help="table with a column of labels")
    add_cutout_arguments(parser, required=True)
    add_training_arguments(parser)
    parser.add_argument(
        "--start",
        metavar="MODEL",
        help="go on from a saved model's weights ('embedded' or 'robust' for the package's own); "
        "its network is kept, whatever --architecture says",
    )
    parser.add_argument("--name", default="custom", help="name of the model (default: %(default)s)")
    add_output_arguments(parser, help="model file, by custom *.shredmodel")
    parser.set_defaults(
        judge=None, interrupted="no model was written; with --checkpoint, run it again to go on"
    )
    return parser


def run(args):
    """Train a model and save it."""
    check_output(args.output, args.overwrite)
    data = read_training_data(args)
    classifier = _begin(args)
    classifier.fit(
        data.paths,
        data.labels,
        sample_weight=data.weights,
        groups=data.groups,
        recipe=args.recipe,
        epochs=args.epochs,
        batch_size=args.batch_size,
        checkpoint=args.checkpoint,
        name=args.name,
    )
    classifier.save(args.output)
    training = classifier.model_.description.training
    print(
        f"trained {classifier.architecture} ({classifier.n_parameters:,} parameters) on "
        f"{training['n_sources']} sources for {training['n_epochs']} epochs: {args.output}",
        file=sys.stderr,
    )


def _begin(args):
    """Make a fresh classifier, or load the one that is gone on from."""
    if args.start is None:
        return make_classifier(args)
    start = load_classifier(args.start)
    survey = get_survey(args.survey)
    return start.set_params(
        survey=survey.name,
        bands=survey.bands,
        pixel_scale=survey.pixel_scale,
        random_state=args.random_state,
    )
