"""Arguments for cutouts: those in a folder and those fetched from a service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from shredfinder.cli.arguments import count, seconds

if TYPE_CHECKING:
    import argparse

    from shredfinder.cutouts import CutoutFetcher

__all__ = [
    "DEFAULT_PATTERN",
    "add_cutout_arguments",
    "add_pattern_argument",
    "add_service_arguments",
    "get_fetcher",
    "get_image_options",
]

# As in table/patterns.py, which is not imported for --help. Case is ignored.
DEFAULT_PATTERN = "{objID}.png"
# Names of the arguments for fetching cutouts.
_SERVICE_ARGUMENTS = (
    *("service", "layer", "base_url", "flux_scale", "no_jpeg", "workers", "cache", "rate"),
    *("offline", "refresh"),
)


def add_cutout_arguments(
    parser: argparse.ArgumentParser, *, required: bool, pattern: str = DEFAULT_PATTERN
) -> None:
    """Add the arguments for a folder of cutouts."""
    parser.add_argument(
        "--cutouts",
        metavar="DIR",
        type=Path,
        required=required,
        help="folder of colour cutouts (PNG, JPEG, …), one per row",
    )
    # Without a default, a pattern given without its folder can be refused.
    add_pattern_argument(parser, pattern, default=pattern if required else None)


def add_pattern_argument(
    parser: argparse.ArgumentParser,
    pattern: str = DEFAULT_PATTERN,
    *,
    default: str | None = DEFAULT_PATTERN,
) -> None:
    """Add the argument for the pattern of file names."""
    parser.add_argument(
        "--pattern",
        default=default,
        help=f'file-name pattern in DIR, with columns in braces (default: "{pattern}")',
    )


def add_service_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for fetching cutouts."""
    group = parser.add_argument_group("fetching cutouts")
    group.add_argument(
        "--service",
        metavar="NAME",
        help="legacy, hips, sia, ps1, sdss or local (default: that of the model's survey: legacy)",
    )
    group.add_argument("--layer", help="image layer of the service, such as ls-dr9-south")
    group.add_argument(
        "--base-url",
        metavar="URL",
        help="another URL for the service, such as a mirror; for --service local, the folder of "
        "FITS images",
    )
    group.add_argument(
        "--flux-scale",
        type=float,
        metavar="X",
        help="for local and sia: factor from the images' values to nanomaggies per native pixel of "
        "the survey",
    )
    group.add_argument(
        "--no-jpeg",
        action="store_true",
        help="for local: do not JPEG-compress colours as the survey's viewer does",
    )
    group.add_argument(
        "--workers",
        type=count,
        metavar="N",
        help="for local: number of processes that make cutouts (default: one per processor)",
    )
    group.add_argument(
        "--cache", metavar="DIR", type=Path, help="cache folder (default: in astropy's cache)"
    )
    group.add_argument(
        "--rate", type=float, metavar="N", help="maximum requests per second (0: no limit)"
    )
    group.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="time limit of a request, from connecting to the last byte (default: 60 for "
        "images, 300 for queries)",
    )
    group.add_argument(
        "--time-limit",
        type=seconds,
        metavar="SECONDS",
        help="time limit of the whole run; rows without an image by then are flagged",
    )
    group.add_argument("--offline", action="store_true", help="use cached images only")
    group.add_argument(
        "--refresh",
        action="store_true",
        help="retry positions that had no image in earlier runs",
    )


def get_fetcher(args: argparse.Namespace, **options: Any) -> CutoutFetcher:
    """Convert the service arguments, and further options, to a fetcher of cutouts."""
    from shredfinder.cutouts import CutoutFetcher

    if args.timeout is not None:
        options["timeout"] = args.timeout
    return CutoutFetcher(**_get_service_options(args), **options)


def _get_service_options(args: argparse.Namespace) -> dict[str, Any]:
    options = {name: getattr(args, name) for name in ("service", "layer", "base_url", "cache")}
    options = {name: value for name, value in options.items() if value is not None}
    further: dict[str, Any] = {} if args.flux_scale is None else {"flux_scale": args.flux_scale}
    if args.no_jpeg:
        further["jpeg"] = False
    if args.workers is not None:
        further["workers"] = args.workers
    elif args.service == "local":
        # Imported here, so that --help is fast.
        from shredfinder._utils.runtime import count_threads

        further["workers"] = count_threads()
    if further:
        options["service_options"] = further
    if args.rate is not None:
        # NaN is refused too.
        if not args.rate >= 0:
            raise ValueError(f"--rate must be a number of requests per second, not {args.rate:g}")
        # 0 on the command line is None in Python: no limit.
        options["rate"] = args.rate or None
    if args.offline:
        options["offline"] = True
    if args.refresh:
        options["refresh"] = True
    return options


def get_image_options(args: argparse.Namespace, pattern: str = DEFAULT_PATTERN) -> dict[str, Any]:
    """Convert the cutout and service arguments to options of `~shredfinder.add_p_cnn`.

    Parameters
    ----------
    args : `~argparse.Namespace`
        The arguments.
    pattern : str, optional
        Default pattern of file names.

    Returns
    -------
    images : dict
        ``service``, or ``cutouts`` and ``pattern``.

    Raises
    ------
    ValueError
        If a folder is combined with options for fetching, or a pattern lacks its folder.
    """
    if args.cutouts is None:
        if args.pattern is not None:
            raise ValueError("--pattern names files in a folder: give the folder as --cutouts")
        return {"service": get_fetcher(args)}
    # Options of services would be ignored silently.
    values = {name: getattr(args, name) for name in _SERVICE_ARGUMENTS}
    # Hosts and catalogues may be fetched nevertheless.
    if not hasattr(args, "hosts"):
        values |= {"timeout": args.timeout, "time_limit": args.time_limit}
    given = [
        args.options[name]
        for name, value in values.items()
        # Not by equality: a rate of 0 is given.
        if value is not None and value is not False
    ]
    if given:
        raise ValueError(f"with --cutouts nothing is fetched: leave out {' and '.join(given)}")
    return {"cutouts": args.cutouts, "pattern": args.pattern or pattern}
