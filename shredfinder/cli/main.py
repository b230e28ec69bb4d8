"""Arguments, errors and exit codes of the command ``shredfinder``."""

import argparse
import sys
import warnings

from astropy.utils.exceptions import AstropyUserWarning

from shredfinder.cli import classify, demo, evaluate, fetch, fractions, label, pool, run, train
from shredfinder.exceptions import ServiceError

__all__ = ["main"]

_COMMANDS = (run, classify, fetch, fractions, pool, label, demo, train, evaluate)


def main(argv=None):
    """Run the command ``shredfinder``.

    Parameters
    ----------
    argv : list of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    status : int
        0 if all went well, 1 after an error, 130 after an interrupt. Wrong arguments exit
        with 2.
    """
    _allow_any_terminal()
    parser = _build_parser()
    args = parser.parse_args(argv)
    with warnings.catch_warnings():
        warnings.simplefilter("always", AstropyUserWarning)
        warnings.showwarning = _show_warning
        try:
            _check_settings()
            args.run(args)
        except KeyboardInterrupt:
            print(f"shredfinder: interrupted; {args.interrupted}", file=sys.stderr)
            return 130
        except BrokenPipeError:
            return 1
        except Exception as error:  # one clear line, whatever happened
            if args.debug:
                raise
            print(f"shredfinder: error: {_describe(error)}", file=sys.stderr)
            return 1
    return 0


def _build_parser():
    parser = argparse.ArgumentParser(
        prog="shredfinder",
        description="Find galaxy shreds (torn-off pieces of larger galaxies) in photometric "
        "catalogues.",
        epilog="shredfinder COMMAND --help explains a command and gives examples.",
    )
    parser.add_argument("--version", action=_PrintVersion)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        subparser = command.add_parser(commands)
        subparser.formatter_class = argparse.RawDescriptionHelpFormatter
        subparser.add_argument(
            "--debug", action="store_true", help="show the whole traceback of an error"
        )
        subparser.set_defaults(run=command.run)
        if subparser.get_default("interrupted") is None:
            subparser.set_defaults(interrupted="nothing was written")
    return parser


def _allow_any_terminal():
    """Show a question mark for what a terminal or log can't, rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _check_settings():
    """Find a setting that is not valid now, and say which it is."""
    from shredfinder.config import conf

    for name in list(conf):
        try:
            getattr(conf, name)
        except TypeError as error:
            raise ValueError(f"the setting {name!r} in shredfinder.cfg: {error}") from error


class _PrintVersion(argparse.Action):
    """Look the version up only when it is asked for."""

    def __init__(self, option_strings, dest, **kwargs):
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser, namespace, values, option_string=None):
        from shredfinder import __version__

        print(f"shredfinder {__version__}")
        parser.exit()


def _show_warning(message, category, filename, lineno, file=None, line=None):
    print(f"shredfinder: warning: {_one_line(message)}", file=sys.stderr)


def _describe(error):
    text = _one_line(error)
    # What a bare KeyError or IndexError says is of no use without its name.
    if isinstance(error, (ValueError, OSError, ImportError, ServiceError)) and text:
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"


def _one_line(message):
    return " ".join(str(message).split())
