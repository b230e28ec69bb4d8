"""``shredfinder run``: find satellite candidates around a host, without shreds."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from shredfinder.cli.arguments import (
    add_host_arguments,
    add_output_arguments,
    add_prior_argument,
    add_scoring_arguments,
    add_survey_argument,
    check_any,
    check_output,
    describe_prior,
)
from shredfinder.cli.cutout_arguments import (
    add_cutout_arguments,
    add_service_arguments,
    get_image_options,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity

__all__ = ["configure_run", "run"]

_EPILOG = """\
examples:
  shredfinder run --host "NGC 2903" --survey legacy-dr9 -o ngc2903.fits
  shredfinder run --host "NGC 2903" --save ngc2903/ --report ngc2903.html -o ngc2903.fits
  shredfinder run --center "143.042 21.501" --radius "30 arcmin" --survey sdss-dr17 \\
      --hosts my_hosts.csv --cuts saga-later -o satellites.vot

The command queries the survey's catalogue, applies the cuts, selects candidates within 100 kpc of a
host, fetches and scores their cutouts, and writes the clean table to OUT. The clean table contains
the candidates with p_cnn below the threshold, without the hosts themselves. SDSS and Pan-STARRS
candidates are also scored on Legacy Surveys images. Candidates outside that footprint are unscored,
and excluded from the shred fractions and the clean table.

With --merge, shreds are merged with their galaxies before the cuts in magnitude, surface brightness
and colour. OUT contains the merged galaxies that pass these cuts, including recovered ones. The
summary and the report list what changed. This option needs photutils.

With --save, the table of each step is saved in DIR, and the same command resumes from there. The
default radius corresponds to 100 kpc at the distance of the host at the centre.
"""

# Items of `shredfinder.conf` that are options of the command.
_ADDRESSES = {
    "legacy_tap_url": "TAP service of the Legacy catalogue",
    "sdss_sql_url": "SkyServer, without the data release",
    "ps1_tap_url": "TAP service of Pan-STARRS1",
    "mast_tap_url": "MAST's newer TAP service, tried first for Pan-STARRS1",
    "dust_url": "IRSA's dust service",
    "nsa_url": "file of the NASA-Sloan Atlas",
    "resolver_url": "Sesame name resolver",
}


def configure_run(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Find satellite-galaxy candidates around a host or a position, and remove the shreds."
    )
    parser.epilog = _EPILOG
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--host", metavar="NAME", help="name of a galaxy, resolved by Sesame")
    where.add_argument(
        "--center",
        metavar="'RA DEC'",
        help="position in degrees, or sexagesimal in hours and degrees",
    )
    add_survey_argument(parser)
    parser.add_argument(
        "--radius",
        metavar="ANGLE",
        help="radius of the region: '0.5 deg', '30 arcmin', or a number in degrees",
    )
    add_host_arguments(parser, default="nsa")
    parser.add_argument(
        "--cuts",
        metavar="PRESET",
        default="paper",
        help="paper, paper-no-rchisq, saga-later or saga-dr3 (default: %(default)s)",
    )
    parser.add_argument(
        "--ebv", type=float, metavar="MAG", help="E(B-V) for ps1-dr2 (default: queried)"
    )
    parser.add_argument(
        "--raw", action="store_true", help="keep the survey's columns that the cuts use"
    )
    parser.add_argument(
        "--merge",
        action="store_true",
        help="merge shreds with their galaxies, and apply the cuts again: one row per galaxy",
    )
    add_scoring_arguments(parser)
    add_prior_argument(parser)
    add_cutout_arguments(parser, required=False)
    add_service_arguments(parser)
    group = parser.add_argument_group("URLs of catalogue services")
    for name, service in _ADDRESSES.items():
        group.add_argument(f"--{name.replace('_', '-')}", metavar="URL", help=service)
    group = parser.add_argument_group("further output")
    group.add_argument(
        "--scored", metavar="FILE", type=Path, help="all scored candidates, including shreds"
    )
    group.add_argument("--report", metavar="FILE", type=Path, help="report, .html or .pdf")
    group.add_argument(
        "--field-width",
        type=float,
        metavar="ARCSEC",
        help="width of the field in the report (default: 134, as in the paper)",
    )
    group.add_argument(
        "--save", metavar="DIR", type=Path, help="folder of each step's table, to resume from"
    )
    group.add_argument(
        "--samp", action="store_true", help="send the clean table to TOPCAT or Aladin"
    )
    add_output_arguments(parser, help="clean table, its format by the extension")
    parser.set_defaults(
        interrupted="fetched images are in the cache, and with --save the finished steps in its "
        "folder: run it again to resume"
    )


def run(args: argparse.Namespace) -> None:
    """Search, write the results and print a summary."""
    import numpy as np

    from shredfinder import ShredClassifier
    from shredfinder.pipeline import find_satellites, send_samp
    from shredfinder.pipeline.report import check_report
    from shredfinder.table import ShredTable, check_writing, write_catalogue

    images = get_image_options(args)
    center = args.host if args.host is not None else _parse_center(args.center)
    radius = None if args.radius is None else _parse_angle(args.radius)
    # A search may take hours: check all outputs first.
    for path in (args.output, args.scored):
        if path is not None:
            check_output(path, args.overwrite)
            check_writing(ShredTable({"p_cnn": [0.5]}), path)
    if args.report is not None:
        check_output(args.report, args.overwrite)
        check_report(args.report)
    options = {"ebv": args.ebv, "timeout": args.timeout}
    query = {name: value for name, value in options.items() if value is not None}
    # The cuts read these columns in any case; here they are kept.
    if args.raw:
        query["columns"] = "all"
    with _given_addresses(args):
        search = find_satellites(
            center,
            args.survey,
            radius=radius,
            hosts=None if args.hosts == "none" else args.hosts,
            host_radius=args.host_radius,
            distance=args.distance,
            cuts=args.cuts,
            classifier=ShredClassifier.load(args.model),
            prior=args.prior,
            threshold=args.p_threshold,
            allow_other_colors=args.allow_other_colors,
            query=query,
            merge=args.merge,
            pictures=args.report is not None,
            field_width=args.field_width,
            folder=args.save,
            **images,
        )
    satellites = search.satellites if search.merged is None else search.merged.satellites
    write_catalogue(satellites, args.output)
    if args.scored is not None:
        write_catalogue(search.candidates, args.scored)
    if args.report is not None:
        search.write_report(args.report)
    print(search.summary(), file=sys.stderr)
    if estimated := describe_prior(search.candidates):
        print(estimated, file=sys.stderr)
    if args.samp:
        receivers = send_samp(satellites, search.center, name=search.name or "satellites")
        print(f"sent to {', '.join(receivers) or 'no program'}", file=sys.stderr)
    found = search.candidates
    check_any(
        np.isfinite(found["p_cnn"]), "scored", flags=found["p_cnn_flag"], offline=args.offline
    )


@contextlib.contextmanager
def _given_addresses(args: argparse.Namespace) -> Iterator[None]:
    """Use the given addresses of services."""
    from shredfinder.config import conf

    with contextlib.ExitStack() as stack:
        for name in _ADDRESSES:
            if getattr(args, name):
                # Only for this search: the configuration is restored at the end.
                stack.enter_context(conf.set_temp(name, getattr(args, name)))
        yield


def _parse_center(text: str) -> SkyCoord:
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    # '09h32m10s +21d30m03s' and '09:32:10 +21:30:03' give hours, '143.042 21.501' degrees.
    sexagesimal = any(mark in text.lower() for mark in "hm:")
    unit = (u.hourangle, u.deg) if sexagesimal else u.deg
    try:
        return SkyCoord(text.replace(",", " "), unit=unit)
    except ValueError:
        raise ValueError(
            "--center must be right ascension and declination, such as '143.042 21.501' or "
            f"'09h32m10s +21d30m03s', not {text!r}"
        ) from None


def _parse_angle(text: str) -> Quantity:
    from astropy import units as u

    try:
        angle = u.Quantity(text)
        return angle.to(u.deg) if angle.unit != u.dimensionless_unscaled else angle.value * u.deg
    except (TypeError, ValueError):
        raise ValueError(
            f"--radius must be an angle, such as '0.5 deg' or '30 arcmin', not {text!r}"
        ) from None
