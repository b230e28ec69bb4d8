"""Arguments that the commands ``run``, ``fractions`` and ``pool`` share."""

import contextlib

from shredfinder.cli.common import (
    add_cutout_arguments,
    add_position_argument,
    add_service_arguments,
    load_classifier,
)

__all__ = [
    "SURVEYS",
    "add_address_arguments",
    "add_catalogue_images_arguments",
    "add_host_arguments",
    "read_hosts",
    "score",
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


def add_catalogue_images_arguments(parser):
    """Add the arguments that say where a catalogue's sources are, and their images."""
    add_cutout_arguments(parser, required=False)
    add_service_arguments(parser)
    add_position_argument(parser)


def score(rows, args, images):
    """Score a catalogue's rows as the arguments say, in place."""
    if "fetch" in images:
        images = images | {"position": args.position}
    classifier = load_classifier(args.model)
    rows.add_p_cnn(classifier, allow_other_colors=args.allow_other_colors, **images)


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


def read_hosts(args):
    """Read the hosts that were asked for; None for none."""
    from shredfinder.pipeline.search import get_hosts

    return get_hosts(None if args.hosts == "none" else args.hosts)


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
