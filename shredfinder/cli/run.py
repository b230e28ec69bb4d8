"""``shredfinder run``: from a patch of sky to a clean satellite catalogue."""

import sys
from pathlib import Path

from shredfinder.cli.common import (
    add_cutout_arguments,
    add_output_arguments,
    add_prior_argument,
    add_scoring_arguments,
    add_service_arguments,
    check_output,
    get_image_options,
    load_classifier,
)
from shredfinder.cli.pipeline_arguments import (
    SURVEYS,
    add_address_arguments,
    add_host_arguments,
    services_at,
)

__all__ = ["add_parser", "run"]

_EPILOG = """\
examples:
  shredfinder run --host "NGC 2903" --survey legacy-dr9 -o ngc2903.fits
  shredfinder run --host "NGC 2903" --save ngc2903/ --report ngc2903.html -o ngc2903.fits
  shredfinder run --center "143.042 21.501" --radius "30 arcmin" --survey sdss-dr17 \\
      --hosts my_hosts.csv --cuts saga-later -o satellites.vot

It asks the survey's catalogue for the region, applies the cuts, keeps what is within 100 kpc of a
host, fetches the cutouts, scores them, and writes to OUT what is left: candidates with p_cnn
below the threshold, without the entries of hosts themselves. SDSS and Pan-STARRS candidates are
scored on Legacy images too; those outside that footprint have no answer and are in no fraction.

With --save, each step's table is kept in DIR: the same command goes on from there. The radius is
by default that of 100 kpc at the distance of the host at the centre.
"""

# Catalogues that are asked for have the survey's identifier by this name.
_PATTERN = "{objid}.png"


def add_parser(commands):
    """Add the command's parser."""
    parser = commands.add_parser(
        "run",
        help="from a patch of sky to a clean satellite catalogue",
        description="Find satellite-galaxy candidates around a host or a position, and remove the "
        "shreds among them.",
        epilog=_EPILOG,
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--host", metavar="NAME", help="name of a galaxy, to be looked up")
    where.add_argument(
        "--center", metavar="'RA DEC'", help="in degrees, or sexagesimal in hours and degrees"
    )
    parser.add_argument(
        "--survey", choices=SURVEYS, default="legacy-dr9", help="catalogue (default: %(default)s)"
    )
    parser.add_argument(
        "--radius", metavar="ANGLE", help="of the region: '0.5 deg', '30 arcmin'; or degrees"
    )
    add_host_arguments(parser, default="nsa")
    parser.add_argument(
        "--cuts",
        metavar="PRESET",
        default="paper",
        help="paper, paper-no-rchisq or saga-later (default: %(default)s)",
    )
    parser.add_argument(
        "--ebv", type=float, metavar="MAG", help="E(B-V) for ps1-dr2 (default: asked for)"
    )
    parser.add_argument(
        "--raw", action="store_true", help="keep the survey's own columns that the cuts read"
    )
    add_scoring_arguments(parser)
    add_prior_argument(parser)
    add_cutout_arguments(parser, required=False, pattern=_PATTERN)
    add_service_arguments(parser)
    add_address_arguments(parser)
    group = parser.add_argument_group("what is kept")
    group.add_argument(
        "--scored", metavar="FILE", type=Path, help="all scored candidates, shreds among them"
    )
    group.add_argument(
        "--report", metavar="FILE", type=Path, help="report for reading, .html or .pdf"
    )
    group.add_argument(
        "--field-width",
        type=float,
        metavar="ARCSEC",
        help="width of the field in the report (default: 134, as in the paper)",
    )
    group.add_argument(
        "--save", metavar="DIR", type=Path, help="folder of each step's table, to go on from"
    )
    group.add_argument(
        "--samp", action="store_true", help="send the clean table to TOPCAT or Aladin"
    )
    add_output_arguments(parser, help="clean table, its format by the extension")
    parser.set_defaults(
        interrupted="what was fetched is in the cache, and with --save each finished step in its "
        "folder: run it again to go on"
    )
    return parser


def run(args):
    """Search, write and sum up."""
    from shredfinder.pipeline import find_satellites, send_samp
    from shredfinder.table import ShredTable, check_writing, write_catalogue
    from shredfinder.table.columns import P_NAME

    images = get_image_options(args, _PATTERN)
    center = args.host if args.host is not None else _parse_center(args.center)
    radius = None if args.radius is None else _parse_angle(args.radius)
    for path in (args.output, args.scored):
        if path is not None:
            check_output(path, args.overwrite)
            check_writing(ShredTable({P_NAME: [0.5]}), path)
    if args.report is not None:
        from shredfinder.pipeline.report import check_report

        check_output(args.report, args.overwrite)
        check_report(args.report)
    query = {} if args.ebv is None else {"ebv": args.ebv}
    if args.raw:
        query["columns"] = "all"
    with services_at(args):
        search = find_satellites(
            center,
            args.survey,
            radius=radius,
            hosts=None if args.hosts == "none" else args.hosts,
            host_radius=args.host_radius,
            cuts=args.cuts,
            classifier=load_classifier(args.model),
            prior=args.prior,
            threshold=args.p_threshold,
            allow_other_colors=args.allow_other_colors,
            query=query,
            pictures=args.report is not None,
            field_width=args.field_width,
            folder=args.save,
            **images,
        )
    write_catalogue(search.satellites, args.output)
    if args.scored is not None:
        write_catalogue(search.candidates, args.scored)
    if args.report is not None:
        search.write_report(args.report)
    print(search.summary(), file=sys.stderr)
    if args.samp:
        receivers = send_samp(search.satellites, search.center, name=search.name or "satellites")
        print(f"sent to {', '.join(receivers) or 'nobody'}", file=sys.stderr)


def _parse_center(text):
    from astropy import units as u
    from astropy.coordinates import SkyCoord

    sexagesimal = any(mark in text.lower() for mark in "hm:")
    unit = (u.hourangle, u.deg) if sexagesimal else u.deg
    try:
        return SkyCoord(text.replace(",", " "), unit=unit)
    except ValueError as error:
        raise ValueError(
            f"--center must be right ascension and declination, such as '143.042 21.501' or "
            f"'09h32m10s +21d30m03s': got {text!r} ({error})"
        ) from None


def _parse_angle(text):
    from astropy import units as u

    try:
        angle = u.Quantity(text)
        return angle.to(u.deg) if angle.unit != u.dimensionless_unscaled else angle.value * u.deg
    except (TypeError, ValueError):
        raise ValueError(
            f"--radius must be an angle, such as '0.5 deg' or '30 arcmin': got {text!r}"
        ) from None
