"""Tables and positions for TOPCAT, Aladin and whatever else listens, over SAMP."""

from __future__ import annotations

import atexit
import importlib
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from shredfinder.exceptions import ShredfinderWarning

if TYPE_CHECKING:
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
    """Send a table, and a position to look at, to the programs of a running SAMP hub.

    TOPCAT and Aladin bring a hub with them: start one of them first.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table. It is sent as a VOTable, with units, UCDs and descriptions.
    center : `~astropy.coordinates.SkyCoord`, optional
        The position.
    name : str, optional
        The table's name in the other programs.
    timeout : float, optional
        Seconds that a program may take to load the table.
    hub : SAMPHubServer, optional
        A hub of one's own, of pyvo or astropy; by default the running one.

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
        If no program takes tables, or one reports an error or does not answer.

    Notes
    -----
    The messages are ``table.load.votable`` and ``coord.pointAt.sky`` of the SAMP standard. The
    table is handed over as a temporary file, which is removed when this process ends.

    Examples
    --------
    With a hub of its own, and nobody there to listen:

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
    folder = Path(tempfile.mkdtemp(prefix="shredfinder-samp-"))
    # Programs may come back to the file as long as the sender lives.
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "table.vot"
    table.write(path, format="votable")
    client = samp.SAMPIntegratedClient(
        name="shredfinder",
        description="Finds galaxy shreds in photometric catalogues",
        # Messages go through the hub: nothing needs to reach this process from outside.
        addr="127.0.0.1",
    )
    try:
        client.connect(hub=hub)
    except samp.SAMPHubError as error:
        raise RuntimeError(
            f"no SAMP hub is running ({error}): start TOPCAT or Aladin, and send again"
        ) from error
    try:
        message = {"url": path.as_uri(), "name": name, "table-id": f"{folder.name}/{name}"}
        receivers = _call(client, _LOAD, message, timeout)
        if center is not None:
            sky = center.icrs
            place = {"ra": f"{sky.ra.deg:.7f}", "dec": f"{sky.dec.deg:.7f}"}
            # A call, not a notification: a hub drops these when the sender has left meanwhile.
            _call(client, _POINT, place, timeout)
    finally:
        client.disconnect()
    if not receivers:
        warnings.warn(
            "no program at the SAMP hub took the table: start TOPCAT or Aladin",
            ShredfinderWarning,
            stacklevel=2,
        )
    return receivers


def import_samp():
    """Import the module of SAMP: pyvo's, which astropy's became, or astropy's where pyvo is older.

    Returns
    -------
    samp : module
        ``pyvo.samp`` or ``astropy.samp``; the two are alike.

    Examples
    --------
    >>> from shredfinder.pipeline.samp import import_samp
    >>> hasattr(import_samp(), "SAMPIntegratedClient")
    True
    """
    samp = importlib.import_module("pyvo.samp")
    if hasattr(samp, "SAMPHubServer"):  # older ones hold the client alone
        return samp
    return importlib.import_module("astropy.samp")


def _call(client, mtype, params, timeout):
    """Send a message to each program that takes it, and wait for its answer."""
    done = []
    for identifier in client.get_subscribed_clients(mtype):
        title = client.get_metadata(identifier).get("samp.name", identifier)
        try:
            message = {"samp.mtype": mtype, "samp.params": params}
            answer = client.call_and_wait(identifier, message, str(int(timeout)))
        except Exception as error:  # whatever a hub or a program answers
            problem = f"did not answer within {timeout:g} s ({error})"
        else:
            if answer.get("samp.status") == "samp.ok":
                done.append(title)
                continue
            problem = f"reports: {answer.get('samp.error', {}).get('samp.errortxt', 'an error')}"
        warnings.warn(f"{title} {problem}", ShredfinderWarning, stacklevel=3)
    return done
