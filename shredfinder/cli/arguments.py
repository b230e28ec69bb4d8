"""Arguments that several commands share, and what they are converted to."""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shredfinder.surveys import DEFAULT_SURVEY, SURVEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from astropy.table import Table

__all__ = [
    "add_catalogue_argument",
    "add_host_arguments",
    "add_host_table_argument",
    "add_model_argument",
    "add_output_arguments",
    "add_position_argument",
    "add_prior_argument",
    "add_scoring_arguments",
    "add_seed_argument",
    "add_survey_argument",
    "add_threshold_argument",
    "check_any",
    "check_output",
    "column_or_number",
    "count",
    "describe_prior",
    "fraction",
    "list_reasons",
    "load_hosts",
    "port",
    "seconds",
]


# Types of arguments


def fraction(text: str) -> float:
    """Convert an argument to a number from 0 to 1."""
    return _parse(text, float, lambda value: 0 <= value <= 1, "a fraction between 0 and 1")


def count(text: str) -> int:
    """Convert an argument to a whole number of at least 1."""
    return _parse(text, int, lambda value: value >= 1, "a whole number of 1 or more")


def port(text: str) -> int:
    """Convert an argument to the number of a port."""
    return _parse(text, int, lambda value: 0 <= value < 2**16, "a whole number from 0 to 65535")


def _seed(text: str) -> int:
    return _parse(text, int, lambda value: 0 <= value < 2**32, "a whole number from 0 to 2³² − 1")


def seconds(text: str) -> float:
    """Convert an argument to a duration."""
    return _parse(text, float, lambda value: 0 < value < math.inf, "a positive number of seconds")


def column_or_number(text: str) -> str | float:
    """Convert an argument to a number of at least 0, or leave it as the name of a column."""
    try:
        value = float(text)
    except ValueError:
        return text
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a column or a number of 0 or more, not {text!r}")
    return value


def _prior(text: str) -> float | str:
    if text == "estimate":
        return text
    expected = "a fraction between 0 and 1, or 'estimate'"
    return _parse(text, float, lambda value: 0 <= value <= 1, expected)


def _parse(
    text: str, kind: Callable[[str], Any], is_valid: Callable[[Any], bool], expected: str
) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not is_valid(value):
        raise argparse.ArgumentTypeError(f"must be {expected}, not {text!r}")
    return value


# Tables


def add_catalogue_argument(parser: argparse.ArgumentParser, name: str, *, help: str) -> None:
    """Add the arguments that name a table, and one of several tables in its file."""
    parser.add_argument(name, type=Path, help=help)
    parser.add_argument(
        "--table",
        metavar="NAME",
        help="table to read from a file with several: number or name of a FITS extension, "
        "number (from 0) or ID in a VOTable, path in an HDF5 file",
    )


def add_position_argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names the position columns."""
    parser.add_argument(
        "--position",
        nargs=2,
        metavar=("RA", "DEC"),
        help="position columns (default: found by name, unit or UCD)",
    )


# Scoring


def add_model_argument(parser: argparse._ActionsContainer) -> None:
    """Add the argument for the model."""
    parser.add_argument(
        "--model",
        metavar="PATH",
        type=Path,
        help="model file, 'robust' for the package's model for poorer images, or 'int8' for the "
        "embedded model in 8-bit integers, twice as fast (default: the embedded model)",
    )


def add_scoring_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for the model, the threshold and other surveys' colours."""
    add_model_argument(parser)
    add_threshold_argument(parser)
    parser.add_argument(
        "--allow-other-colors",
        action="store_true",
        help="score images in another survey's colours too, and flag those rows",
    )


def add_threshold_argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument for the probability above which a source is a shred."""
    parser.add_argument(
        "--p-threshold",
        type=fraction,
        default=0.5,
        metavar="P",
        help="sources with p_cnn at or above P count as shreds (default: %(default)s)",
    )


def add_prior_argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument for the shred fraction of the catalogue."""
    parser.add_argument(
        "--prior",
        type=_prior,
        metavar="FRACTION",
        help="true shred fraction of the catalogue, to correct p_cnn for, or 'estimate' (from at "
        "least 300 scored sources)",
    )


def add_survey_argument(parser: argparse.ArgumentParser, *, of: str = "the candidates") -> None:
    """Add the argument for the survey."""
    parser.add_argument(
        "--survey",
        default=DEFAULT_SURVEY,
        help=f"survey of {of}: {', '.join(SURVEYS)}, or the short names "
        f"{', '.join(alias for survey in SURVEYS.values() for alias in survey.aliases)} "
        "(default: %(default)s)",
    )


def add_seed_argument(parser: argparse._ActionsContainer, *, help: str, default: int = 1) -> None:
    """Add the argument for the random seed."""
    parser.add_argument(
        "--random-state",
        type=_seed,
        default=default,
        metavar="SEED",
        help=f"{help} (default: %(default)s)",
    )


def list_reasons(flags: np.ndarray) -> str:
    """List flags by frequency, such as ``2 blank, 1 missing``."""
    return ", ".join(f"{n} {reason}" for reason, n in Counter(flags.tolist()).most_common())


def describe_prior(table: Table) -> str:
    """Describe the prior that was estimated for a scored table; empty for other priors."""
    facts = table["p_cnn"].meta.get("shredfinder", {})
    if facts.get("prior_source") != "estimate":
        return ""
    return (
        f"p_cnn corrected to an estimated shred fraction of {facts['prior']:.3f} ± "
        f"{facts['prior_error']:.3f}"
    )


# Hosts


def add_host_arguments(parser: argparse.ArgumentParser, *, default: str) -> None:
    """Add the arguments for the hosts, the radius around them and their distances."""
    add_host_table_argument(
        parser, default=default, columns="with ra, dec and zdist, z or distance"
    )
    parser.add_argument(
        "--host-radius",
        type=float,
        default=100.0,
        metavar="KPC",
        help="largest projected separation from a host (default: %(default)g)",
    )
    parser.add_argument(
        "--distance",
        choices=["angular-diameter", "hubble"],
        default="angular-diameter",
        help="distance of a host by its redshift: 'hubble' is the NASA-Sloan Atlas's c ZDIST / H0, "
        "13%% larger at z = 0.1 (default: %(default)s)",
    )


def add_host_table_argument(parser: argparse.ArgumentParser, *, default: str, columns: str) -> None:
    """Add the argument for the hosts, and say which columns a table of them has."""
    parser.add_argument(
        "--hosts",
        metavar="FILE",
        default=default,
        help="'nsa' (NASA-Sloan Atlas, several gigabytes, downloaded once), 'none', or a table "
        f"{columns} (default: %(default)s)",
    )


def load_hosts(args: argparse.Namespace) -> Table | None:
    """Read the hosts; None for ``--hosts none``."""
    from shredfinder.pipeline.search import get_hosts

    return get_hosts(None if args.hosts == "none" else args.hosts)


# Output


def add_output_arguments(
    parser: argparse.ArgumentParser, *, help: str, required: bool = True, metavar: str = "OUT"
) -> None:
    """Add the arguments for the output file."""
    parser.add_argument("-o", "--output", metavar=metavar, type=Path, required=required, help=help)
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")


def check_any(
    is_done: np.ndarray,
    done: str,
    reasons: Path | None = None,
    *,
    flags: Any = (),
    offline: bool = False,
) -> None:
    """Raise RuntimeError if nothing was achieved for any of the sources, so that a command fails.

    An input without sources is no failure, and causes a warning.

    Parameters
    ----------
    is_done : `~numpy.ndarray` of bool
        Whether each source was scored or fetched.
    done : str
        What was to be done, for the message.
    reasons : `~pathlib.Path`, optional
        File that holds the reason for each source.
    flags : array_like of str, optional
        Flag of each source.
    offline : bool, optional
        Whether the user asked for cached images only: that none is cached is then a result, and
        only printed.
    """
    # Imported here, so that --help is fast.
    from shredfinder._utils.validation import quantify
    from shredfinder.exceptions import ShredfinderWarning

    if not len(is_done):
        warnings.warn(f"there is no source to be {done}", ShredfinderWarning)
    elif offline and set(flags) == {"missing"}:
        print(
            f"no image of the {quantify(len(is_done), 'source')} is in the cache, and --offline "
            "fetches none",
            file=sys.stderr,
        )
    elif not is_done.any():
        where = "" if reasons is None else f"; {str(reasons)!r} holds the reasons"
        raise RuntimeError(
            f"none of {len(is_done)} sources was {done}{where}: correct the cause that is named "
            "above, and run again"
        )


def check_output(path: Path, overwrite: bool) -> None:
    """Check that a file can be written, before the work is done.

    Parameters
    ----------
    path : `~pathlib.Path`
        The output file.
    overwrite : bool
        Whether it may exist.

    Raises
    ------
    IsADirectoryError
        If it is a folder.
    FileExistsError
        If it exists and may not, or is not a regular file, such as a device.
    FileNotFoundError
        If its folder does not exist.
    """
    from shredfinder._utils.leftovers import remove_leftovers

    # Of killed processes, also if this command ends here.
    remove_leftovers(path.parent)
    if path.is_dir():
        raise IsADirectoryError(f"the output {str(path)!r} is a folder: name a file")
    if path.exists() and not path.is_file():
        raise FileExistsError(f"the output {str(path)!r} is a device or pipe: name a file")
    if path.exists() and not overwrite:
        raise FileExistsError(f"the output {str(path)!r} exists: add --overwrite to replace it")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {str(path)!r}: the folder {str(path.parent)!r} does not exist"
        )
