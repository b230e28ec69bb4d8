"""Example data: a simulated field, its candidates, their cutouts, and the hosts."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.table import Table

from shredfinder.catalogs.standard import standardize
from shredfinder.datasets.shredded import make_shredded_field
from shredfinder.hosts import join_hosts
from shredfinder.surveys import get_catalog_preset
from shredfinder.table import ShredTable, get_positions

if TYPE_CHECKING:
    from shredfinder.datasets.simulated_field import SimulatedField
    from shredfinder.imaging import Cutouts

__all__ = [
    "Examples",
    "example_candidates",
    "example_cutouts",
    "example_field",
    "example_hosts",
    "simulate_examples",
]

# A field of about a hundred candidates, which is simulated in less than a second.
SEED = 31
_N_LARGE, _N_DWARFS = 7, 1
# The brightest galaxies are hosts. Each is at the distance where it has this absolute magnitude in
# r, that of a galaxy somewhat fainter than the Milky Way.
_N_HOSTS, _HOST_ABSOLUTE = 3, -20.5
# Radius with 90 % of the light of an exponential disc, in half-light radii.
_R90 = 2.318
# Digits of the columns in print.
_FORMATS = {
    **dict.fromkeys(("ra", "dec"), ".5f"),
    **dict.fromkeys(("g", "r", "z", "mu_eff", "r_eff", "petro_ba90"), ".2f"),
    **dict.fromkeys(("g_err", "r_err", "z_err", "gr_err", "mu_err"), ".3f"),
    **dict.fromkeys(("separation", "projected_separation"), ".1f"),
    **dict.fromkeys(("distance", "r_mag", "petro_th90", "petro_phi90"), ".1f"),
}
_TRUTH = {
    "label": "True class: galaxy or shred",
    "type": "True type: host, on disc, satellite, background, behind, knot, arm or disc end",
    "galaxy_id": "objid of the true galaxy; negative if only its pieces are catalogued",
}


def example_field() -> SimulatedField:
    """Simulate the field of the example data.

    Returns
    -------
    field : SimulatedField
        The images, whose candidates are those of `example_candidates`, and the true galaxies.

    Examples
    --------
    >>> from shredfinder.datasets import example_field
    >>> example_field().image.shape
    (1024, 1024, 3)
    """
    return copy.deepcopy(simulate_examples().field)


def example_hosts() -> Table:
    """Return the bright galaxies of the example field, as a catalogue of hosts.

    Returns
    -------
    hosts : `~astropy.table.Table`
        Three hosts with the columns of `~shredfinder.hosts.read_hosts`: ``host_id``, which is the
        ``objid`` of the galaxy's entry in `example_candidates`; ``ra`` and ``dec`` in deg;
        ``distance`` in Mpc; the total magnitude ``r_mag``; and the ellipse with 90 % of the light,
        ``petro_th90`` (arcsec), ``petro_ba90`` and ``petro_phi90`` (deg).

    Examples
    --------
    >>> from shredfinder.datasets import example_hosts
    >>> hosts = example_hosts()
    >>> hosts["distance"].round(0).tolist()
    [67.0, 75.0, 95.0]
    """
    return simulate_examples().hosts.copy()


def example_candidates() -> ShredTable:
    """Return a catalogue of candidates near hosts in a simulated field.

    Large galaxies are divided among several entries, as survey pipelines do: a third of the rows
    are shreds, many more than in a real catalogue. Satellites and background galaxies are around
    the hosts, in front of their discs and behind them. The table is not scored yet.

    Returns
    -------
    candidates : ShredTable
        About 100 rows with the columns of `shredfinder.catalogs.query_candidates`: ``objid``,
        ``ra``, ``dec``, magnitudes ``g``, ``r`` and ``z`` and their errors, ``gr_err``, ``r_eff``,
        ``mu_eff`` and ``mu_err``. The nearest host of each row is in the columns of
        `~shredfinder.hosts.join_hosts`: ``host_id``, ``separation``, ``projected_separation``,
        ``n_hosts`` and ``host_entry``. The truth is in ``label`` (``galaxy`` or ``shred``),
        ``type``, and ``galaxy_id``, the galaxy that the row is or is a piece of.

    See Also
    --------
    example_cutouts : The cutouts of its rows.
    example_hosts : The hosts.
    example_field : The images and the true magnitudes.

    Notes
    -----
    The field is simulated when it is first needed, in about a second, and is always the same.
    Scores on it do not measure the model's performance on the sky.

    Examples
    --------
    >>> from shredfinder.datasets import example_candidates, example_cutouts
    >>> table = example_candidates()
    >>> table.add_p_cnn(cutouts=example_cutouts())
    >>> table["p_cnn"].format = ".1f"
    >>> table["objid", "r", "label", "p_cnn"][:2].pprint(show_unit=False)
    objid   r   label  p_cnn
    ----- ----- ------ -----
     1001 13.72 galaxy   0.0
     1002 18.41  shred   1.0
    """
    return simulate_examples().candidates.copy()


def example_cutouts() -> Cutouts:
    """Return the cutouts of `example_candidates`.

    Returns
    -------
    cutouts : `~shredfinder.Cutouts`
        One colour image per row, in order, as the Legacy Surveys viewer returns them.

    Examples
    --------
    >>> from shredfinder.datasets import example_cutouts
    >>> example_cutouts()
    <Cutouts: 101 of 128×128 px at 0.46875 arcsec/px, bands zrg, 0 unusable>
    """
    return copy.deepcopy(simulate_examples().cutouts)


@dataclass(frozen=True)
class Examples:
    """Example data of one simulated field.

    Attributes
    ----------
    field : SimulatedField
        The images.
    candidates : ShredTable
        The catalogue of `example_candidates`.
    cutouts : `~shredfinder.Cutouts`
        One cutout per candidate.
    hosts : `~astropy.table.Table`
        The catalogue of `example_hosts`.
    """

    field: SimulatedField
    candidates: ShredTable
    cutouts: Cutouts
    hosts: Table


@functools.lru_cache(maxsize=1)
def simulate_examples(random_state: int = SEED) -> Examples:
    """Simulate a field, and create its candidates, cutouts and hosts.

    Parameters
    ----------
    random_state : int, optional
        Seed of the field.

    Returns
    -------
    examples : Examples
        The data, which must not be modified: later calls return the same objects.
    """
    field = make_shredded_field(
        n_hosts=_N_LARGE, n_dwarfs=_N_DWARFS, n_pairs=0, random_state=random_state
    )
    hosts = _select_hosts(field.galaxies)
    candidates = join_hosts(_measure(field.sources), hosts)
    for name, description in _TRUTH.items():
        candidates[name] = field.sources[name][candidates["row"]]
        candidates[name].info.description = description
    del candidates["row"]
    candidates.sort("objid")
    for table in (candidates, hosts):
        for name in set(_FORMATS) & set(table.colnames):
            table[name].info.format = _FORMATS[name]
    cutouts = field.cutouts(get_positions(candidates))
    return Examples(field, ShredTable(candidates), cutouts, hosts)


def _measure(sources: Table) -> Table:
    """Convert a simulated catalogue to the columns of a query, with the number of its row."""
    # The columns of a Tractor file, without extinction.
    raw = sources[[name for name in sources.colnames if name.startswith("flux_")]]
    raw["ls_id"], raw["ra"], raw["dec"] = sources["objID"], sources["ra"], sources["dec"]
    for band in "grz":
        raw[f"mw_transmission_{band}"] = 1.0
    raw["shape_r"] = sources["radius"]
    # The relative error of a radius is about that of its flux.
    signal = sources["flux_r"] * np.sqrt(sources["flux_ivar_r"])
    raw["shape_r_ivar"] = (signal / sources["radius"].value) ** 2
    table = standardize(raw, get_catalog_preset("legacy-dr9"), cuts=None, columns=())
    table["row"] = np.arange(len(table))
    return table


def _select_hosts(galaxies: Table) -> Table:
    shredded = galaxies[galaxies["type"] == "host"]
    bright = shredded[np.argsort(shredded["r"])[:_N_HOSTS]]
    hosts = Table({"host_id": bright["galaxy_id"], "ra": bright["ra"], "dec": bright["dec"]})
    modulus = bright["r"].value - _HOST_ABSOLUTE
    hosts["distance"] = 10 ** (modulus / 5 - 5) * u.Mpc
    hosts["r_mag"] = bright["r"]
    hosts["petro_th90"] = _R90 * bright["radius"].quantity
    hosts["petro_ba90"], hosts["petro_phi90"] = bright["axis_ratio"], bright["position_angle"]
    return hosts
