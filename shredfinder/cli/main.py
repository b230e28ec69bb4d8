"""Commands, errors and exit codes of ``shredfinder``.

Modules of commands are imported when their command is run, and they import the rest of the package
within their functions, so that ``--help`` and ``--version`` are fast.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import linecache
import re
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from shredfinder.cli.interrupts import interruptible, is_interrupted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["build_parser", "main"]

# Each command is a function of its module, and `configure_<command>` adds its arguments.
_COMMANDS = {
    "demo": ("demo", "simulate a field, score its sources and plot them, offline"),
    "run": ("run", "find satellite candidates around a host, and remove the shreds"),
    "classify": ("classify", "score a catalogue: the probability that each source is a shred"),
    "merge": ("merge", "merge shreds with their galaxies: one row per galaxy"),
    "fetch": ("fetch", "download the cutouts of a catalogue"),
    "fractions": ("candidates", "compute the shred fraction after each preset of cuts"),
    "pool": ("candidates", "draw a balanced pool of candidates to label by eye"),
    "label": ("label", "label cutouts by eye, in the browser"),
    "train": ("train", "train a model on labelled cutouts"),
    "evaluate": ("train", "evaluate a model on labelled cutouts"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command ``shredfinder``.

    Parameters
    ----------
    argv : list of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    status : int
        0 on success, 1 after an error, 130 after an interrupt. Wrong arguments exit with 2. A
        program, without ``argv``, exits with 130 after Ctrl-C and 143 after SIGTERM.
    """
    if argv is not None:
        return _main(list(argv))
    # Only a program's own: a function leaves the handling of signals alone.
    with interruptible():
        return _main(sys.argv[1:])
    raise AssertionError("unreachable: an interrupt ends the process")


def _main(given: list[str]) -> int:
    _replace_unprintable()
    # Only the module of this command is imported: --help and errors stay fast.
    command = next((word for word in given if not word.startswith("-")), "")
    parser = build_parser(command)
    if command and command not in _COMMANDS:
        parser.error(f"there is no command {command!r}{_suggest(command, _COMMANDS)}")
    # Options that no parser knows are reported by the parser of the command, with its options.
    args, unknown = parser.parse_known_args(given)
    if args.run is None and unknown:
        parser.refuse(unknown)
    if args.run is None:
        parser.print_help(sys.stderr)
        parser.exit(2)
    if unknown:
        args.parser.refuse(unknown)
    return _run(args)


def build_parser(*commands: str) -> _Parser:
    """Build the parser.

    Parameters
    ----------
    *commands : str
        Commands whose arguments are added; the others are only listed.

    Returns
    -------
    parser : `~argparse.ArgumentParser`
        The parser.
    """
    parser = _Parser(
        prog="shredfinder",
        usage="shredfinder COMMAND [options]",
        description="Find galaxy shreds (pieces of larger galaxies) in photometric catalogues.",
        epilog="shredfinder COMMAND --help explains a command and gives examples.",
        formatter_class=_CommandList,
    )
    parser.add_argument("--version", action=_PrintVersion)
    parser.set_defaults(run=None)
    subparsers = parser.add_subparsers(
        title="commands", metavar="COMMAND", prog="shredfinder", parser_class=_Parser
    )
    for name, (module_name, summary) in _COMMANDS.items():
        subparser = subparsers.add_parser(
            name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name in commands:
            module = importlib.import_module(f"shredfinder.cli.{module_name}")
            # The default, which a command may replace.
            subparser.set_defaults(interrupted="nothing was written")
            getattr(module, f"configure_{name}")(subparser)
            subparser.add_argument(
                "--debug", action="store_true", help="show the traceback of an error"
            )
            # For messages, which name the options instead of the arguments of Python.
            options = {
                action.dest: action.option_strings[-1]
                for action in subparser._actions
                if action.option_strings
            }
            subparser.set_defaults(run=getattr(module, name), options=options, parser=subparser)
            subparser.usage = subparser.format_short_usage()
    return parser


class _Parser(argparse.ArgumentParser):
    """Parse arguments, with one line of usage and suggestions for misspelt options."""

    def format_short_usage(self) -> str:
        """Write what a command needs in one line: its options are many."""
        alternatives = [group for group in self._mutually_exclusive_groups if group.required]
        required = [
            " | ".join(f"{action.option_strings[-1]} {action.metavar}" for action in choice)
            for choice in (group._group_actions for group in alternatives)
        ]
        words = [
            str(action.metavar or action.dest.upper())
            for action in self._positionals._group_actions
        ]
        words += [f"({choice})" for choice in required]
        words += [
            f"{action.option_strings[0]} {action.metavar}"
            for action in self._actions
            if action.option_strings and action.required
        ]
        return " ".join([self.prog, *words, "[options]"])

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """Exit because of arguments that the command does not have."""
        word = unknown[0]
        if not word.startswith("-"):
            self.error(f"{word!r} is one argument too many: put quotes around names with spaces")
        option = word.partition("=")[0]
        self.error(f"there is no option {option}{_suggest(option, self._option_string_actions)}")

    def error(self, message: str) -> NoReturn:
        """Exit with a message, and where to read more."""
        usage = self.format_usage().strip()
        message = message.replace("the following arguments are required", "missing")
        self.exit(
            2, f"{usage}\n{self.prog}: error: {message} ({self.prog} --help lists the options)\n"
        )


def _suggest(word: str, known: Iterable[str]) -> str:
    """Suggest the known word that is most like an unknown one, if any is."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1)
    return f": did you mean {close[0]}?" if close else ""


class _CommandList(argparse.HelpFormatter):
    """Format the list of commands with each command and its summary on one line."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        # argparse forgets that commands are indented further than options.
        self._action_max_length = max(map(len, _COMMANDS)) + 4


class _PrintVersion(argparse.Action):
    """Print the version, which is looked up only for this."""

    def __init__(self, option_strings: Sequence[str], dest: str, **_: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from shredfinder import __version__

        print(f"shredfinder {__version__}")
        parser.exit()


def _run(args: argparse.Namespace) -> int:
    """Run a command, and convert warnings and errors to lines on the terminal."""
    from astropy.utils.exceptions import AstropyUserWarning

    def show_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = f"shredfinder: warning: {_word(message, args.options)}"
        # Several steps may use what is wrong, such as a cache that cannot be written.
        if text not in shown:
            shown.add(text)
            print(text, file=sys.stderr)

    shown: set[str] = set()
    with warnings.catch_warnings():
        # Each warning is shown, also those of the same line of code.
        warnings.simplefilter("always", AstropyUserWarning)
        warnings.showwarning = show_warning
        try:
            _check_settings()
            with _limited_time(args):
                args.run(args)
        except KeyboardInterrupt:
            print(f"shredfinder: interrupted; {args.interrupted}", file=sys.stderr)
            # 128 + SIGINT, the shell's convention for an interrupted command.
            return 130
        except BrokenPipeError:
            # The reader of the output has left, as `head` does.
            return 1
        except Exception as error:
            # Some libraries convert an interrupt to an error of their own.
            if is_interrupted():
                print(f"shredfinder: interrupted; {args.interrupted}", file=sys.stderr)
                return 130
            if args.debug:
                raise
            print(f"shredfinder: error: {_describe(error, args.options)}", file=sys.stderr)
            return 1
    return 0


def _limited_time(args: argparse.Namespace) -> contextlib.AbstractContextManager[None]:
    """Let all requests of a command end in time, if it has a limit."""
    if getattr(args, "time_limit", None) is None:
        return contextlib.nullcontext()
    from shredfinder._net.exchanges import limited_time

    return limited_time(args.time_limit)


def _replace_unprintable() -> None:
    """Print a question mark for characters that the terminal or log cannot show."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _check_settings() -> None:
    """Name an invalid setting before it fails somewhere."""
    from shredfinder.config import conf

    for name in list(conf):
        try:
            getattr(conf, name)
        except TypeError as error:
            raise ValueError(f"the setting {name!r} in shredfinder.cfg: {error}") from error


def _describe(error: Exception, options: dict[str, str]) -> str:
    """Describe an error in one line, without the words of Python."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        from shredfinder._utils.files import describe_full_disk

        reason = describe_full_disk(error.errno)
        if reason:
            return f"cannot write {str(error.filename)!r}: {reason}"
        return f"{error.strerror}: {str(error.filename)!r}"
    meant = isinstance(error, (ValueError, OSError, ImportError, RuntimeError))
    if not (meant or _is_raised_here(error)) or not error.args:
        return (
            f"unexpected problem ({type(error).__name__}): run the command again with --debug, and "
            "report what it shows"
        )
    # Converted to text, a KeyError puts its message in quotes.
    return _word(error.args[0] if isinstance(error, KeyError) else error, options)


def _is_raised_here(error: Exception) -> bool:
    """Check whether the package raised an error itself, with a message for the user."""
    frame, line_number = list(traceback.walk_tb(error.__traceback__))[-1]
    line = linecache.getline(frame.f_code.co_filename, line_number)
    module = frame.f_globals.get("__name__", "")
    return module.startswith("shredfinder.") and line.lstrip().startswith("raise ")


def _word(message: object, options: dict[str, str]) -> str:
    """Write a message in one line, with the command's options for the arguments of Python."""
    text = " ".join(str(message).split())
    # Some messages name the option beside the argument.
    text = re.sub(r"\w+=(\([^)]*\)|\S*) \((--[\w-]+) on the command line\)", r"\2", text)
    # An output that was written would be in the way of the next run.
    if "overwrite" in options:
        text = re.sub(r"\brun again\b(?! with)", "run again with --overwrite", text)
    named = options | ({"threshold": "--p-threshold"} if "p_threshold" in options else {})
    for name, option in named.items():
        # Names without an underscore may be plain words: only `name=` is surely an argument.
        assigned = "" if "_" in name else "(?==)"
        # Not in paths, addresses, quotes and calls.
        argument = rf"(?<![\w'\"/.?&(-]){name}\b{assigned}"
        text = re.sub(rf"{argument}=None\b", f"{option} none", text)
        text = re.sub(rf"{argument}(=True\b|=(?!\w|'))?(?!=)", option, text)
        text = re.sub(rf"{argument}=", f"{option} ", text)
    return text
