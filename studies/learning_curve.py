"""Fit the AUC of the compact network over the number of labels and extrapolate it.

    python studies/study.py state/ labels-160 labels-320 labels-640 labels-1280 catalogue --folds 0
    python studies/learning_curve.py state/ --folds 0

As in ``summary.py``, the test set is the sources on which the raters agree. A power law of the
number of labels is fitted to 1 − AUC by least squares in logarithms. The 95 % intervals are from
1,000 resamples of the groups on the sky, the same for all numbers of labels. The figure is
written to ``docs/_static``.
"""

import argparse
from pathlib import Path

import numpy as np
from figures import save
from scores import gather, to_probability
from sources import load_sources
from study import RUNS

from shredfinder.evaluation import bootstrap_metrics, compute_metrics
from shredfinder.plotting.style import make_figure

DEFAULT = ("labels-160", "labels-320", "labels-640", "labels-1280", "compact")


def main():
    """Print the table and the extrapolation, and plot the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("--runs", nargs="+", default=DEFAULT, help="three or more runs")
    parser.add_argument("--folds", nargs="+", type=int, default=[0])
    parser.add_argument(
        "--more", type=int, default=1000, help="additional labels to extrapolate to"
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--output", type=Path, default=Path("docs/_static"))
    args = parser.parse_args()
    sources = load_sources(args.data)
    use = sources.agreed & np.isin(sources.fold, args.folds)
    y, groups = sources.shred[use].astype(int), sources.groups[use]
    logits = [gather(args.state, name, len(use), args.folds)[0][use] for name in args.runs]
    scores = [to_probability(values) for values in logits]
    everything = np.mean([np.sum(sources.fold != k) for k in args.folds])
    n = np.array([RUNS[name].n_labels or everything for name in args.runs], float)

    def curve(y, index):
        rows = index.astype(int)
        auc = np.array([compute_metrics(y, p[rows])["auc"] for p in scores])
        return {str(k): value for k, value in enumerate(auc)} | extrapolate(n, auc, args.more)

    index = np.arange(len(y), dtype=float)
    values, intervals = curve(y, index), bootstrap_metrics(y, index, groups, metric=curve)
    print(f"{len(y)} sources in folds {', '.join(map(str, args.folds))}")
    for k, name in enumerate(args.runs):
        accuracy = compute_metrics(y, scores[k])["accuracy"]
        print(f"{n[k]:6.0f} labels ({name}): {show(values, intervals, str(k))}, {accuracy=:.3f}")
    print(f"exponent: {show(values, intervals, 'exponent', 2)}")
    print(f"AUC with {args.more} more, by the power law: {show(values, intervals, 'more')}")
    print(f"gain from these: {show(values, intervals, 'gain')}")
    save(plot_curve(n, args.more, values, intervals), args.output / "learning_curve.jpg")


def extrapolate(n, auc, more):
    """Fit the power law; return its parameters, the AUC for more labels and the gain."""
    missing = np.log(np.maximum(1 - auc, 1e-5))
    exponent, constant = np.polyfit(np.log(n), missing, 1)
    now, then = (
        1 - np.exp(constant + exponent * np.log(number)) for number in (n[-1], n[-1] + more)
    )
    return {"exponent": exponent, "constant": constant, "more": then, "gain": then - now}


def show(values, intervals, name, digits=4):
    """Format a value with its interval."""
    low, high = intervals[name]
    return f"{values[name]:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def plot_curve(n, more, values, intervals):
    """Plot 1 − AUC over the number of labels, both on logarithmic scales."""
    figure = make_figure(5.2, 4.0)
    ax = figure.subplots()
    missing = np.array([1 - values[str(k)] for k in range(len(n))])
    ends = np.array([intervals[str(k)] for k in range(len(n))])
    errors = np.abs([missing - (1 - ends[:, 1]), 1 - ends[:, 0] - missing])
    ax.errorbar(n, missing, errors, fmt="o", color="#c8342b", capsize=3)
    line = np.geomspace(n[0], n[-1] + more, 50)
    ax.plot(line, np.exp(values["constant"]) * line ** values["exponent"], color="0.5", lw=1)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ticks = [*n.astype(int), int(n[-1]) + more]
    ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks], rotation=30)
    ax.minorticks_off()
    shown = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1]
    low, high = ax.get_ylim()
    shown = [value for value in shown if low < value < high]
    ax.set_yticks(shown, [f"{value:g}" for value in shown])
    ax.set_xlabel("number of training labels")
    ax.set_ylabel("1 − AUC")
    return figure


if __name__ == "__main__":
    main()
