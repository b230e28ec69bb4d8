"""Arguments that the commands ``run``, ``fractions`` and ``pool`` share."""

import contextlib
from pathlib import Path

from shredfinder.cli.common import add_cutout_arguments, add_service_arguments, get_fetch_options

__all__ = [
    "SURVEYS",
    "add_host_arguments",
    "add_image_arguments",
    "add_scoring_arguments",
    "get_hosts",
    "get_image_options",
    "services_at",
]

SURVEYS = ("legacy-dr9", "sdss-dr17", "ps1-dr2")

# From the names of arguments to items of `shredfinder.conf`.
_ADDRESSES = {
    "legacy_tap_url": "TAP service of the Legacy catalogue",
    "sdss_sql_url": "SkyServer, without the data release",
    "ps1_tap_url": "TAP service of Pan-STARRS1",
    "dust_url": "IRSA's dust service",
    "nsa_url": "file of the NASA-Sloan Atlas",
    "resolver_url": "Sesame name resolver",
}


def add_image_arguments(parser):
    """Add the arguments that say where images are, as ``classify`` has them."""
    add_cutout_arguments(parser, required=False)
    parser.set_defaults(pattern="{objid}.png")
    add_service_arguments(parser)


def get_image_options(args):
    """Collect what these arguments say: ``fetch``, or ``cutouts`` and ``pattern``."""
    fetch = get_fetch_options(args)
    if args.cutouts is None:
        return {"fetch": fetch}
    if fetch:
        named = " and ".join(f"--{name.replace('_', '-')}" for name in fetch)
        raise ValueError(f"--cutouts names a folder, so that nothing is fetched: leave out {named}")
    return {"cutouts": args.cutouts, "pattern": args.pattern}


def add_scoring_arguments(parser):
    """Add the arguments that say how sources are scored."""
    parser.add_argument(
        "--model", metavar="PATH", type=Path, help="model file (default: the embedded model)"
    )
    parser.add_argument(
        "--p-threshold",
        type=float,
        default=0.5,
        metavar="P",
        help="sources at or above it count as shreds (default: %(default)s)",
    )
    parser.add_argument(
        "--allow-other-colors",
        action="store_true",
        help="score another survey's colours too, and flag those rows",
    )


def add_host_arguments(parser, *, default):
    """Add the arguments that say what hosts are, and how near to one candidates must be."""
    parser.add_argument(
        "--hosts",
        metavar="FILE",
        default=default,
        help="'nsa' (downloaded once, some gigabytes), 'none', or a table with ra, dec and zdist, "
        "z or distance (default: %(default)s)",
    )
    parser.add_argument(
        "--host-radius",
        type=float,
        default=100.0,
        metavar="KPC",
        help="projected radius around a host (default: %(default)g)",
    )


def get_hosts(args):
    """Read the hosts that were asked for; None for none."""
    from shredfinder.hosts import open_hosts, read_nsa

    if args.hosts == "none":
        return None
    return read_nsa() if args.hosts == "nsa" else open_hosts(args.hosts)


def add_address_arguments(parser):
    """Add an argument for the address of each catalogue service."""
    group = parser.add_argument_group("addresses of catalogue services")
    for name, words in _ADDRESSES.items():
        group.add_argument(f"--{name.replace('_', '-')}", metavar="URL", help=words)


@contextlib.contextmanager
def services_at(args):
    """Use the addresses that were given, for a while."""
    from shredfinder.config import conf

    with contextlib.ExitStack() as stack:
        for name in _ADDRESSES:
            if getattr(args, name, None):
                stack.enter_context(conf.set_temp(name, getattr(args, name)))
        yield
