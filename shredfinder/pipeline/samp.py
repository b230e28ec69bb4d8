"""Send tables and positions to TOPCAT, Aladin and other programs by SAMP."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shredfinder._utils.columns import as_table
from shredfinder._utils.leftovers import temporary_beside
from shredfinder.exceptions import ShredfinderWarning

if TYPE_CHECKING:
    from types import ModuleType

    from astropy.coordinates import SkyCoord
    from astropy.samp import SAMPHubServer
    from astropy.table import Table

__all__ = ["send_samp"]

_LOAD, _POINT = "table.load.votable", "coord.pointAt.sky"


def send_samp(
    table: Table,
    center: SkyCoord | None = None,
    *,
    name: str = "shredfinder",
    timeout: float = 30.0,
    hub: SAMPHubServer | None = None,
) -> list[str]:
    """Send a table and a position to the programs connected to a SAMP hub.

    TOPCAT and Aladin run a hub: start one of them first.

    Parameters
    ----------
    table : `~astropy.table.Table`, `pandas.DataFrame` or structured array
        The table, sent as a VOTable with units, UCDs and descriptions.
    center : `~astropy.coordinates.SkyCoord`, optional
        Position for the programs to point at.
    name : str, optional
        Name of the table in the other programs.
    timeout : float, optional
        Seconds that a program has to load the table.
    hub : SAMPHubServer, optional
        Hub of pyvo or astropy to connect to; by default the running one.

    Returns
    -------
    receivers : list of str
        Names of the programs that loaded the table.

    Raises
    ------
    RuntimeError
        If no hub is running.

    Warns
    -----
    ShredfinderWarning
        If no program accepts tables, or one reports an error or does not respond.

    Notes
    -----
    The messages are ``table.load.votable`` and ``coord.pointAt.sky`` of the SAMP standard. The
    table is passed as a temporary file, which is removed when this process ends.

    Examples
    --------
    With a private hub, to which no program is connected:

    >>> import warnings
    >>> from astropy.coordinates import SkyCoord
    >>> from astropy.table import Table
    >>> from shredfinder.pipeline import send_samp
    >>> from shredfinder.pipeline.samp import import_samp
    >>> hub = import_samp().SAMPHubServer(web_profile=False, mode="multiple", addr="127.0.0.1")
    >>> hub.start()  # doctest: +IGNORE_OUTPUT
    >>> table = Table({"ra": [143.04], "dec": [21.5]})
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     send_samp(table, SkyCoord(143.04, 21.5, unit="deg"), hub=hub)
    []
    >>> hub.stop()  # doctest: +IGNORE_OUTPUT
    """
    samp = import_samp()
    table = as_table(table)
    stack = contextlib.ExitStack()
    folder = stack.enter_context(temporary_beside(Path(tempfile.gettempdir()) / "samp"))
    folder.mkdir(0o700)
    # Programs may read the file again at any time while the sender runs.
    atexit.register(stack.close)
    path = folder / "table.vot"
    table.write(path, format="votable")
    client = samp.SAMPIntegratedClient(
        name="shredfinder",
        description="Finds galaxy shreds in photometric catalogues",
        # Messages go through the hub, so nothing needs to reach this process from outside.
        addr="127.0.0.1",
    )
    try:
        client.connect(hub=hub)
    except samp.SAMPHubError as error:
        raise RuntimeError(
            f"no SAMP hub is running ({error}): start TOPCAT or Aladin, then send again"
        ) from error
    try:
        message = {"url": path.as_uri(), "name": name, "table-id": f"{folder.name}/{name}"}
        receivers = _call(client, _LOAD, message, timeout)
        if center is not None:
            sky = center.icrs
            place = {"ra": f"{sky.ra.deg:.7f}", "dec": f"{sky.dec.deg:.7f}"}
            # A call, since a hub drops notifications once the sender has disconnected.
            _call(client, _POINT, place, timeout)
    finally:
        client.disconnect()
    if not receivers:
        warnings.warn(
            "no program at the SAMP hub loaded the table: start TOPCAT or Aladin",
            ShredfinderWarning,
            stacklevel=2,
        )
    return receivers


def import_samp() -> ModuleType:
    """Import pyvo's SAMP module, which replaces astropy's, or astropy's if pyvo is too old.

    Returns
    -------
    samp : module
        ``pyvo.samp`` or ``astropy.samp``, which have the same interface.

    Examples
    --------
    >>> from shredfinder.pipeline.samp import import_samp
    >>> hasattr(import_samp(), "SAMPIntegratedClient")
    True
    """
    samp = importlib.import_module("pyvo.samp")
    if hasattr(samp, "SAMPHubServer"):  # older versions have only the client
        return samp
    return importlib.import_module("astropy.samp")


def _call(client: Any, mtype: str, params: dict[str, str], timeout: float) -> list[str]:
    """Send a message to each program that accepts it; return the names of those that succeed."""
    done = []
    for identifier in client.get_subscribed_clients(mtype):
        title = client.get_metadata(identifier).get("samp.name", identifier)
        try:
            message = {"samp.mtype": mtype, "samp.params": params}
            # The hub takes the timeout as text.
            response = client.call_and_wait(identifier, message, str(int(timeout)))
        except Exception as error:  # hubs and programs fail in many ways
            problem = f"did not respond within {timeout:g} s ({error})"
        else:
            if response.get("samp.status") == "samp.ok":
                done.append(title)
                continue
            problem = f"reports: {response.get('samp.error', {}).get('samp.errortxt', 'an error')}"
        warnings.warn(f"{title} {problem}", ShredfinderWarning, stacklevel=3)
    return done
