"""User settings, as astropy configuration items.

Set an item for the session (``shredfinder.conf.threads = 4``), or permanently as a line of the file
``shredfinder.cfg`` (``threads = 4``) in astropy's configuration folder
(``astropy.config.get_config_dir()``).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from astropy import config

if TYPE_CHECKING:
    import os

__all__ = ["Conf", "conf", "get_cache_folder"]

# Without the module name, each item would need a section of the configuration file.
_item = partial(config.ConfigItem, module="shredfinder")


class Conf(config.ConfigNamespace):
    """Configuration of shredfinder.

    Examples
    --------
    >>> from shredfinder import conf
    >>> conf.batch_size
    128
    >>> with conf.set_temp("threads", 1):
    ...     conf.threads
    1
    """

    threads = _item(
        0,
        "Number of threads that score images; 0 uses all processors available to the process.",
        cfgtype="integer(min=0)",
    )
    batch_size = _item(
        128,
        "Number of cutouts to read and score at a time.",
        cfgtype="integer(min=1)",
    )
    cache_dir = _item(
        "",
        "Folder of the cutout and catalogue caches; empty for astropy's cache folder.",
        cfgtype="string",
    )
    service = _item(
        "",
        "Cutout service; empty for the default service of the model's survey.",
        cfgtype="string",
    )
    legacy_viewer_url = _item(
        "https://www.legacysurvey.org/viewer",
        "Base URL of the Legacy Surveys sky viewer.",
        cfgtype="string",
    )
    legacy_tap_url = _item(
        "https://datalab.noirlab.edu/tap",
        "TAP service of the Legacy Surveys' DR9 catalogue.",
        cfgtype="string",
    )
    sdss_sql_url = _item(
        "https://skyserver.sdss.org",
        "Base URL of SkyServer's SQL search, without the data release.",
        cfgtype="string",
    )
    ps1_tap_url = _item(
        "https://mast.stsci.edu/vo-tap/api/v0.1/ps1dr2",
        "TAP service of the Pan-STARRS1 DR2 catalogue.",
        cfgtype="string",
    )
    mast_tap_url = _item(
        "https://mast.stsci.edu/vo-tap/api/v0.1/mast_catalogs",
        "MAST's newer TAP service, tried for Pan-STARRS1 before ps1_tap_url.",
        cfgtype="string",
    )
    dust_url = _item(
        "https://irsa.ipac.caltech.edu/cgi-bin/DUST/nph-dust",
        "URL of IRSA's dust service, which provides E(B-V).",
        cfgtype="string",
    )
    async_rows = _item(
        20_000,
        "Number of rows from which catalogue queries run as asynchronous jobs.",
        cfgtype="integer(min=1)",
    )
    hips2fits_url = _item(
        "https://alasky.cds.unistra.fr/hips-image-services/hips2fits",
        "URL of the CDS hips2fits service.",
        cfgtype="string",
    )
    sdss_url = _item(
        "https://skyserver.sdss.org/dr17/SkyServerWS/ImgCutout",
        "Base URL of SkyServer's image cutouts.",
        cfgtype="string",
    )
    sdss_sas_url = _item(
        "https://data.sdss.org/sas",
        "Base URL of the SDSS Science Archive Server, without the data release.",
        cfgtype="string",
    )
    ps1_url = _item(
        "https://ps1images.stsci.edu/cgi-bin",
        "Base URL of the Pan-STARRS1 image services.",
        cfgtype="string",
    )
    sia_url = _item(
        "https://datalab.noirlab.edu/sia/ls_dr9",
        "URL of the Simple Image Access (SIA) service.",
        cfgtype="string",
    )
    resolver_url = _item(
        "",
        "URL of a Sesame name resolver; empty for astropy's list of resolvers.",
        cfgtype="string",
    )
    empty_cutout_days = _item(
        7.0,
        "Days for which the cutout cache remembers that a service has no image of a position.",
        cfgtype="float(min=0)",
    )
    nsa_url = _item(
        "https://data.sdss.org/sas/dr17/sdss/atlas/v1/nsa_v1_0_1.fits",
        "URL of the NASA-Sloan Atlas, v1.0.1.",
        cfgtype="string",
    )


conf = Conf()


def get_cache_folder(name: str, path: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of a cache.

    Parameters
    ----------
    name : {"cutouts", "catalogs", "indices"}
        Name of the cache.
    path : path-like, optional
        The folder, if the user names it.

    Returns
    -------
    folder : `~pathlib.Path`
        ``path``, with ``~`` expanded; by default the folder of that name in ``conf.cache_dir`` or,
        if this is empty, in shredfinder's folder in astropy's cache.

    Raises
    ------
    OSError
        If astropy's cache folder does not exist and cannot be created. What fetches or queries
        warns, and continues without a cache.
    ValueError
        If the path begins with ``~`` and the home folder is unknown.
    """
    try:
        root = path or conf.cache_dir or config.get_cache_dir("shredfinder")
    except OSError as error:
        raise OSError(
            f"astropy's cache folder cannot be created ({error}): name a folder that can be "
            "written with --cache on the command line, shredfinder.conf.cache_dir, or the "
            "environment variable XDG_CACHE_HOME"
        ) from error
    try:
        folder = Path(root).expanduser()
    except RuntimeError as error:
        raise ValueError(
            f"the cache folder {str(root)!r} begins with the home folder of an unknown user: write "
            "out its path"
        ) from error
    return folder if path else folder / name
