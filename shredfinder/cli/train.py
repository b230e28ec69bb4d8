"""``shredfinder train`` and ``shredfinder evaluate``: models from labelled cutouts."""

from __future__ import annotations

import argparse
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shredfinder.cli.arguments import (
    add_catalogue_argument,
    add_model_argument,
    add_output_arguments,
    add_seed_argument,
    check_output,
    count,
    fraction,
)
from shredfinder.cli.cutout_arguments import add_cutout_arguments
from shredfinder.surveys import DEFAULT_SURVEY, get_survey

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np
    from astropy.table import Column

    from shredfinder import ShredClassifier
    from shredfinder.table import ShredTable

__all__ = ["configure_evaluate", "configure_train", "evaluate", "train"]

_TRAIN_EPILOG = """\
examples:
  shredfinder train labels.ecsv --cutouts folder/ -o mine.shredmodel
  shredfinder train labels.ecsv --cutouts folder/ --architecture published \\
      --checkpoint state/ -o published.shredmodel
  shredfinder train few.ecsv --cutouts folder/ --start embedded -o tuned.shredmodel

Training needs a backend: pip install 'shredfinder[torch]' (or jax, or tensorflow). Rows labelled
neither galaxy nor shred are left out. With --checkpoint, an interrupted training resumes.
"""
_EVALUATE_EPILOG = """\
examples:
  shredfinder evaluate labels.ecsv --cutouts folder/
  shredfinder evaluate labels.ecsv --cutouts folder/ --model mine.shredmodel
  shredfinder evaluate labels.ecsv --cutouts folder/ --cross-validate 5 --groups sky_group \\
      --checkpoint state/ -o scores.ecsv

The performance on a model's own training sources is too high, and a warning gives their number.
--cross-validate trains a model per fold, and evaluates it on sources that it was not trained on.
The 95 % intervals are from 1000 bootstrap resamples of the groups.
"""


def configure_train(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``train``."""
    parser.description = "Train a network on a labelled table and a folder of cutouts."
    parser.epilog = _TRAIN_EPILOG
    _add_training_arguments(parser)
    parser.add_argument(
        "--start",
        metavar="MODEL",
        help="saved model to fine-tune ('embedded' or 'robust' for the package's own); its network "
        "is kept, and --architecture ignored",
    )
    parser.add_argument(
        "--validation",
        type=fraction,
        metavar="FRACTION",
        help="fraction of the sources (of whole groups, with --groups) set aside to validate on "
        "(default: that of the recipe; none for compact)",
    )
    parser.add_argument("--name", default="custom", help="name of the model (default: %(default)s)")
    add_output_arguments(parser, help="model file, by convention *.shredmodel")
    parser.set_defaults(
        # `evaluate` has this option, and both read the same table.
        judge=None,
        interrupted="no model was written; with --checkpoint, run it again to resume",
    )


def train(args: argparse.Namespace) -> None:
    """Train a model and save it."""
    from shredfinder._utils.validation import quantify

    check_output(args.output, args.overwrite)
    # All columns and files are checked before the training.
    data = _read_training_data(args)
    classifier = _make_classifier(args)
    classifier.fit(
        data.paths,
        data.labels,
        sample_weight=data.weights,
        groups=data.groups,
        recipe=args.recipe,
        epochs=args.epochs,
        batch_size=args.batch_size,
        validation="auto" if args.validation is None else args.validation or None,
        checkpoint=args.checkpoint,
        name=args.name,
    )
    classifier.save(args.output)
    training = classifier.model_.description.training
    print(
        f"trained {classifier.architecture} ({classifier.n_parameters:,} parameters) on "
        f"{quantify(training['n_sources'], 'source')} for "
        f"{quantify(training['n_epochs'], 'epoch')}: {args.output}",
        file=sys.stderr,
    )
    print(_describe_validation(classifier.history_), file=sys.stderr)
    print(
        f"next: shredfinder evaluate {args.labels} --cutouts {args.cutouts} --cross-validate 5, "
        f"then shredfinder classify CATALOGUE --model {args.output} -o OUT",
        file=sys.stderr,
    )


def _describe_validation(history: dict[str, list[float]]) -> str:
    """Describe the performance of the saved weights on the validation set."""
    losses = history.get("val_loss", [])
    if not losses:
        return "the model was not validated: cross-validate the recipe, or train with --validation"
    # The weights of this epoch are kept.
    best = min(range(len(losses)), key=losses.__getitem__)
    return (
        f"validation set (epoch {best + 1}): accuracy "
        f"{history['val_accuracy'][best]:.3f}, loss {losses[best]:.3f}"
    )


def configure_evaluate(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``evaluate``."""
    parser.description = "Compare a model's scores with labels."
    parser.epilog = _EVALUATE_EPILOG
    _add_training_arguments(parser)
    which = parser.add_mutually_exclusive_group()
    add_model_argument(which)
    which.add_argument(
        "--cross-validate", metavar="K", type=count, help="train and evaluate in K folds instead"
    )
    parser.add_argument(
        "--judge",
        metavar="COLUMN",
        help="column of the labels to evaluate on (default: those trained on)",
    )
    add_output_arguments(parser, help="table of the scores", required=False)
    parser.set_defaults(
        start=None, interrupted="nothing was written; with --checkpoint, run it again to resume"
    )


def evaluate(args: argparse.Namespace) -> None:
    """Score labelled sources, print metrics and write the scores."""
    import numpy as np

    from shredfinder import ShredClassifier
    from shredfinder._utils.table_files import warn_of_lost_parts
    from shredfinder.evaluation import cross_validate
    from shredfinder.table import check_writing, identify_format, write_catalogue
    from shredfinder.training import encode_labels

    if args.output is not None:
        check_output(args.output, args.overwrite)
        identify_format(args.output)
    if args.cross_validate is not None and args.cross_validate < 2:
        raise ValueError(f"--cross-validate needs at least 2 folds, not {args.cross_validate}")
    data = _read_training_data(args)
    table = data.table
    if args.output is not None:
        check_writing(table, args.output, added=("p_cnn", "p_cnn_flag", "fold"))
        warn_of_lost_parts(args.labels, args.table)
    if args.cross_validate is None:
        model = ShredClassifier.load(args.model)
        table.add_p_cnn(model, args.cutouts, pattern=args.pattern)
        _warn_of_training_images(model, data)
    else:
        _check_unused(table, ("p_cnn", "fold"))
        classifier = _make_classifier(args)
        # Read once; each fold takes its rows from memory.
        cutouts = classifier.open_training(data.paths)[:]
        # Each source is scored by the network of the fold that left it out.
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
    # Rows labelled neither galaxy nor shred are NaN.
    truth = encode_labels(data.labels if data.judged_by is None else data.judged_by)
    rows = np.flatnonzero(np.isfinite(truth))
    p_cnn = np.asarray(table["p_cnn"])[rows]
    if not np.isfinite(p_cnn).any():
        raise ValueError(
            f"there is nothing to evaluate: of {len(table)} sources, {len(rows)} are labelled "
            "galaxy or shred, and none of these is scored"
        )
    _print_metrics(
        (truth[rows] >= 0.5).astype(int), p_cnn, None if data.groups is None else data.groups[rows]
    )


def _warn_of_training_images(model: ShredClassifier, data: _TrainingData) -> None:
    """Warn if the model is evaluated on sources that it was trained on."""
    from shredfinder._utils.validation import quantify
    from shredfinder.exceptions import ShredfinderWarning

    n = int(model.find_training_images(data.paths).sum())
    if n:
        warnings.warn(
            f"{quantify(n, 'source')} of {len(data.paths):,} "
            f"{'was' if n == 1 else 'were'} used to train the model, so its performance is "
            "overestimated: use --cross-validate K to train and evaluate on different sources",
            ShredfinderWarning,
            stacklevel=2,
        )


def _print_metrics(y: np.ndarray, p_cnn: np.ndarray, groups: np.ndarray | None) -> None:
    from shredfinder._utils.validation import quantify
    from shredfinder.evaluation import bootstrap_metrics, compute_metrics, prevalence_metrics

    def compute_all(y: np.ndarray, p_cnn: np.ndarray) -> dict[str, float]:
        # Purity is wanted at a low fraction, as in real catalogues, not at that of the labels.
        at_prevalence = prevalence_metrics(y, p_cnn, 0.05)
        return compute_metrics(y, p_cnn) | {"purity at 5 % shreds": at_prevalence["purity"]}

    metrics = compute_all(y, p_cnn)
    intervals = bootstrap_metrics(y, p_cnn, groups, metric=compute_all)
    n_unscored = len(y) - metrics.pop("n")
    print(f"{quantify(len(y), 'labelled source')}, {n_unscored:,} of them unscored")
    for name, value in metrics.items():
        low, high = intervals[name]
        print(f"{name.replace('_', ' '):22}{value:8.4f}   ({low:.4f} to {high:.4f})")


def _check_unused(table: ShredTable, names: tuple[str, ...]) -> None:
    for name in names:
        if name in table.colnames:
            raise ValueError(
                f"the table already has a column {name!r}, which would be lost: rename or remove it"
            )


def _add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for the labelled sources and the training."""
    add_catalogue_argument(parser, "labels", help="table with a column of labels")
    add_cutout_arguments(parser, required=True)
    training = parser.add_argument_group("training")
    training.add_argument(
        "--label", default="label", metavar="COLUMN", help="column of labels (default: %(default)s)"
    )
    training.add_argument("--weight", metavar="COLUMN", help="column of weights in the loss")
    training.add_argument(
        "--groups",
        metavar="COLUMN",
        help="column of groups, such as neighbours on the sky, that are not split between training "
        "and validation",
    )
    training.add_argument(
        "--architecture",
        type=_architecture,
        default="compact",
        help="network, compact or published (default: %(default)s)",
    )
    training.add_argument(
        "--survey", default=DEFAULT_SURVEY, help="survey of the cutouts (default: %(default)s)"
    )
    training.add_argument(
        "--recipe",
        type=_recipe,
        help="training recipe: compact, catalogue (more kinds of images), fine-tuning, published "
        "or published-text (default: that of the network)",
    )
    training.add_argument("--epochs", type=count, help="maximum number of epochs")
    training.add_argument("--batch-size", type=count, metavar="N", help="batch size")
    add_seed_argument(training, help="random seed, for reproducible training")
    training.add_argument(
        "--checkpoint", type=Path, metavar="DIR", help="folder for the state of the training"
    )


def _architecture(text: str) -> str:
    # Imported for a given value only: `--help` is fast.
    from shredfinder.models import ARCHITECTURES

    return _choose(text, ARCHITECTURES)


def _recipe(text: str) -> str:
    from shredfinder.training import RECIPES

    return _choose(text, RECIPES)


def _choose(text: str, names: Collection[str]) -> str:
    if text not in names:
        raise argparse.ArgumentTypeError(f"must be {' or '.join(sorted(names))}, not {text!r}")
    return text


@dataclass
class _TrainingData:
    """A labelled table, and the columns of it that a training uses."""

    table: ShredTable
    paths: list[str | None]
    labels: Column
    judged_by: Column | None
    weights: np.ndarray | None
    groups: np.ndarray | None


def _read_training_data(args: argparse.Namespace) -> _TrainingData:
    """Read a labelled table and find its cutouts."""
    import numpy as np

    from shredfinder.table import find_image_files, read_catalogue

    table = read_catalogue(args.labels, args.table)

    def get_column(name: str | None) -> Any:
        if name is None:
            return None
        if name not in table.colnames:
            raise ValueError(
                f"the table {str(args.labels)!r} has no column {name!r}: choose one of "
                f"{', '.join(table.colnames)}"
            )
        return table[name]

    # All columns are checked before the files are looked for.
    labels, judged_by = get_column(args.label), get_column(args.judge)
    weights, groups = get_column(args.weight), get_column(args.groups)
    return _TrainingData(
        table,
        find_image_files(table, args.cutouts, args.pattern),
        labels,
        judged_by,
        None if weights is None else np.asarray(weights),
        None if groups is None else np.asarray(groups),
    )


def _make_classifier(args: argparse.Namespace) -> ShredClassifier:
    """Make a new classifier, or load the model to fine-tune."""
    from shredfinder import ShredClassifier

    if args.start is None:
        return ShredClassifier(args.architecture, args.survey, random_state=args.random_state)
    survey = get_survey(args.survey)
    # A loaded classifier has the survey of its model; the images may be of another one.
    return ShredClassifier.load(args.start).set_params(
        survey=survey.name,
        bands=survey.bands,
        pixel_scale=survey.pixel_scale,
        random_state=args.random_state,
    )
