"""``shredfinder evaluate``: judge a model on labelled cutouts."""

import numpy as np

from shredfinder.cli.common import (
    add_catalogue_argument,
    add_cutout_arguments,
    add_model_argument,
    add_output_arguments,
    add_training_arguments,
    check_output,
    count,
    load_classifier,
    make_classifier,
    read_training_data,
)

__all__ = ["add_parser", "run"]

_EPILOG = """\
examples:
  shredfinder evaluate labels.ecsv --cutouts folder/
  shredfinder evaluate labels.ecsv --cutouts folder/ --model mine.shredmodel
  shredfinder evaluate labels.ecsv --cutouts folder/ --cross-validate 5 --groups sky_group \\
      --checkpoint state/ -o scores.ecsv

A model that was trained on the very sources looks better than it is: --cross-validate trains a
new one for each fold and scores the sources that it has not seen. Intervals hold 95 % of 1000
resamples of the groups.
"""


def add_parser(commands):
    """Add the command's parser."""
    parser = commands.add_parser(
        "evaluate",
        help="judge a model on labelled cutouts",
        description="Compare a model's answers with labels.",
        epilog=_EPILOG,
    )
    add_catalogue_argument(parser, "labels", help="table with a column of labels")
    add_cutout_arguments(parser, required=True)
    what = parser.add_mutually_exclusive_group()
    add_model_argument(what)
    what.add_argument(
        "--cross-validate", metavar="K", type=count, help="train and judge by K folds instead"
    )
    add_training_arguments(parser)
    parser.add_argument(
        "--judge",
        metavar="COLUMN",
        help="column of the labels to judge by, where they are not those trained on",
    )
    add_output_arguments(parser, help="table of the scores", required=False)
    parser.set_defaults(interrupted="nothing was written; with --checkpoint, run it again to go on")
    return parser


def run(args):
    """Judge a model, print its figures and write its scores."""
    from shredfinder._utils.runtime import import_optional
    from shredfinder.evaluation import (
        bootstrap_metrics,
        compute_metrics,
        cross_validate,
        prevalence_metrics,
    )
    from shredfinder.table import check_writing, identify_format, write_catalogue
    from shredfinder.training import encode_labels

    if args.output is not None:
        check_output(args.output, args.overwrite)
        identify_format(args.output)
    if args.cross_validate is not None and args.cross_validate < 2:
        raise ValueError(f"--cross-validate takes at least 2 folds, not {args.cross_validate}")
    import_optional("sklearn", "judging a model")
    data = read_training_data(args)
    table = data.table
    if args.output is not None:
        check_writing(table, args.output)
    if args.cross_validate is None:
        table.add_p_cnn(load_classifier(args.model), args.cutouts, pattern=args.pattern)
    else:
        _check_free(table, ("p_cnn", "fold"))
        classifier = make_classifier(args)
        cutouts = classifier.open_training(data.paths)[:]
        table["p_cnn"], table["fold"] = cross_validate(
            classifier,
            cutouts,
            data.labels,
            groups=data.groups,
            sample_weight=data.weights,
            n_splits=args.cross_validate,
            recipe=args.recipe,
            epochs=args.epochs,
            batch_size=args.batch_size,
            checkpoint=args.checkpoint,
        )
    if args.output is not None:
        write_catalogue(table, args.output)
    truth = encode_labels(data.labels if data.judged_by is None else data.judged_by)
    rows = np.flatnonzero(np.isfinite(truth))
    y, p_cnn = (truth[rows] >= 0.5).astype(int), np.asarray(table["p_cnn"])[rows]
    if not np.isfinite(p_cnn).any():
        raise ValueError(
            f"there is nothing to judge: of {len(table)} sources, {len(rows)} have a class, and "
            "none of these an answer"
        )
    groups = None if data.groups is None else data.groups[rows]

    def compute_all(y, p_cnn):
        at_prevalence = prevalence_metrics(y, p_cnn, 0.05)
        return compute_metrics(y, p_cnn) | {"purity at 5 % shreds": at_prevalence["purity"]}

    metrics = compute_all(y, p_cnn)
    intervals = bootstrap_metrics(y, p_cnn, groups, metric=compute_all)
    n_unanswered = len(rows) - metrics.pop("n")
    print(f"{len(rows)} sources with a class, {n_unanswered} of them without an answer")
    for name, value in metrics.items():
        low, high = intervals[name]
        print(f"{name.replace('_', ' '):22}{value:8.4f}   ({low:.4f} to {high:.4f})")


def _check_free(table, names):
    for name in names:
        if name in table.colnames:
            raise ValueError(
                f"the table has a column {name!r} already, which would be lost: rename or remove it"
            )
