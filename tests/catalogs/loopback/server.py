"""One server that imitates TAP, SkyServer and IRSA's dust service, with faults on demand."""

import io
import re
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote_plus, urlsplit
from xml.sax.saxutils import escape

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

_UWS = 'xmlns:uws="http://www.ivoa.net/xml/UWS/v1.0" xmlns:xlink="http://www.w3.org/1999/xlink"'
_UNITS = {"flux_r": "nanomaggy", "shape_r": "arcsec", "ra": "deg", "dec": "deg"}


class CatalogServer:
    """A context manager.

    Parameters
    ----------
    database : SkyDatabase
        The tables.

    Attributes
    ----------
    url : str
        Base URL; ``tap`` is that of the TAP service.
    queries : list of str
        The queries in order; ``jobs`` are the asynchronous ones.
    hard_limit, silent_limit : int or None
        Number of rows after which results are truncated, with OVERFLOW or silently.
    refuse_jobs : int or None
        Status of the refusal of jobs.
    faults : list of str
        Faults of the next requests: a status, "html", "hang", "trickle", "truncated" or "cut";
        followed by a path, the fault of the next request for that path.
    slow_above : tuple of int and str, or None
        Synchronous queries for more rows than that number have that fault; 0 stands for all.
    slow_counts : bool
        Whether counts of more rows than ``slow_above`` have the fault too.
    ebv : float
        E(B-V) at the centre of the dust map; it grows by a tenth per degree to the north.
    """

    def __init__(self, database=None):
        self.database = database
        self.queries, self.jobs, self.requests = [], [], []
        self.hard_limit = self.silent_limit = self.refuse_jobs = None
        self.slow_jobs = 0
        self.faults = []
        self.slow_above = None
        self.slow_counts = False
        self.ebv = 0.04
        self.dust_files = 0
        self.running = {}
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.owner = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.tap = f"{self.url}/tap"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def data_queries(self):
        """Queries for rows of a catalogue, not for counts or names of columns."""
        return [q for q in self.queries if "COUNT(*)" not in q and "TAP_SCHEMA" not in q]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that hangs up is no news


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    @property
    def owner(self):
        return self.server.owner

    def do_GET(self):
        address = urlsplit(self.path)
        self.route(address.path, dict(parse_qsl(address.query, keep_blank_values=True)))

    def do_POST(self):
        size = int(self.headers.get("Content-Length") or 0)
        form = dict(parse_qsl(self.rfile.read(size).decode(), keep_blank_values=True))
        self.route(urlsplit(self.path).path, form)

    def do_DELETE(self):
        self.owner.running.pop(self.path.rpartition("/")[2], None)
        self.reply(200, b"", "text/plain")

    def route(self, path, params):
        owner = self.owner
        with owner.lock:
            owner.requests.append((self.command, path, params))
            fault = None
            # "html /dust" waits for a request of that path.
            if owner.faults and path.startswith(owner.faults[0].partition(" ")[2]):
                fault = owner.faults.pop(0).partition(" ")[0]
        text = params.get("QUERY") or params.get("cmd")
        if fault is None and owner.slow_above and text and "async" not in path:
            fault = owner.slow_above[1] if self.is_slow(text) else None
        if fault and fault.isdigit():
            return self.reply(int(fault), b"<html><body>trouble</body></html>", "text/html")
        if fault == "html":
            return self.reply(200, b"<!DOCTYPE html><html>Maintenance</html>", "text/html")
        if fault == "hang":
            return owner.stopping.wait(20)
        self.fault = fault
        if path == "/tap/sync":
            return self.sync(params)
        if path.startswith("/tap/async"):
            return self.job(path, params)
        if path == "/dr17/en/tools/search/x_results.aspx":
            return self.skyserver(params)
        if path == "/dust":
            return self.dust(params)
        if path == f"/workspace/TMP_{owner.dust_files}/DUST/p414Dust.fits":
            return self.reply(200, self.dust_map(), "image/fits")
        return self.reply(404, b"no such page", "text/plain")

    def is_slow(self, text):
        most = self.owner.slow_above[0]
        if most == 0:
            return True
        _, rows = self.owner.database.run(text)
        counted = rows[0][0] if "COUNT(*)" in text and self.owner.slow_counts else 0
        return "TAP_SCHEMA" not in text and max(len(rows), counted) > most

    def reply(self, status, body, content_type, headers=()):
        if getattr(self, "fault", None) == "truncated":
            # A server that breaks off without having announced a length.
            self.close_connection = True
            body = body[: len(body) // 2] if body[:1] == b"<" else b""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        fault = getattr(self, "fault", None)
        if fault == "cut":
            self.close_connection = True
            body = body[: len(body) // 2]
        if fault == "trickle":
            for start in range(0, len(body), 2):
                if self.owner.stopping.wait(0.2):
                    return
                self.wfile.write(body[start : start + 2])
                self.wfile.flush()
            return
        self.wfile.write(body)

    # TAP

    def sync(self, params):
        if params.get("REQUEST") != "doQuery" or params.get("LANG") != "ADQL":
            return self.reply(400, _error("REQUEST=doQuery and LANG=ADQL are needed"), "text/xml")
        status, body = self.votable(params)
        return self.reply(status, body, "application/x-votable+xml")

    def votable(self, params):
        owner = self.owner
        text = params.get("QUERY", "")
        # MAST's older service rejects circles of more than 0.25 degrees.
        cones = re.findall(r"CIRCLE\('ICRS', [^,]+, [^,]+, ([0-9.]+)\)", text)
        if "dbo." in text and any(float(radius) > 0.25 for radius in cones):
            return 400, _error("The search radius must not exceed 0.25 degrees")
        try:
            names, rows = owner.database.run(text)
        except sqlite3.Error as error:
            return 400, _error(f"{error}: {text}")
        with owner.lock:
            owner.queries.append(text)
        status = "OK"
        limits = [n for n in (owner.hard_limit, int(params.get("MAXREC", 10**9))) if n]
        if len(rows) > min(limits):
            rows, status = rows[: min(limits)], "OVERFLOW"
        if owner.silent_limit is not None:
            rows = rows[: owner.silent_limit]
        return 200, _votable(names, rows, owner.database.kinds(text), status)

    def job(self, path, params):
        owner = self.owner
        if path == "/tap/async":
            if owner.refuse_jobs:
                return self.reply(owner.refuse_jobs, b"no jobs here", "text/plain")
            with owner.lock:
                name = f"j{len(owner.running)}"
                owner.running[name] = {"params": params, "phase": "PENDING", "polls": 0}
                owner.jobs.append(params.get("QUERY", ""))
            return self.reply(303, b"", "text/plain", [("Location", f"{owner.tap}/async/{name}")])
        name, _, rest = path.removeprefix("/tap/async/").partition("/")
        job = owner.running.get(name)
        if job is None:
            return self.reply(404, b"no such job", "text/plain")
        if rest == "phase" and self.command == "POST":
            job["phase"] = {"RUN": "EXECUTING", "ABORT": "ABORTED"}[params["PHASE"]]
            return self.reply(303, b"", "text/plain", [("Location", f"{owner.tap}/async/{name}")])
        if rest == "results/result":
            status, body = self.votable(job["params"])
            return self.reply(status, body, "application/x-votable+xml")
        job["polls"] += 1
        if job["phase"] == "EXECUTING" and job["polls"] > owner.slow_jobs:
            job["phase"] = "COMPLETED"
        result = ""
        if job["phase"] == "COMPLETED":
            link = f"{owner.tap}/async/{name}/results/result"
            result = f'<uws:result id="result" xlink:href="{link}" xlink:type="simple"/>'
        body = (
            f'<?xml version="1.0"?><uws:job {_UWS} version="1.1"><uws:jobId>{name}</uws:jobId>'
            f"<uws:phase>{job['phase']}</uws:phase><uws:executionDuration>60"
            "</uws:executionDuration><uws:destruction>2030-01-01T00:00:00Z</uws:destruction>"
            f"<uws:parameters/><uws:results>{result}</uws:results></uws:job>"
        )
        return self.reply(200, body.encode(), "text/xml")

    # SkyServer

    def skyserver(self, params):
        owner = self.owner
        text = params.get("cmd", "")
        if params.get("format") != "csv" or params.get("searchtool") != "SQL" or not text:
            return self.reply(200, b"<html>Form</html>", "text/html")
        # Queries go by GET, and IIS limits their length.
        if len(quote_plus(text)) > 2048:
            return self.reply(404, b"<html><body>404 - File not found</body></html>", "text/html")
        try:
            names, rows = owner.database.run(text)
        except (sqlite3.Error, KeyError) as error:
            body = f'[{{"error_message": "{error}"}}]'.encode()
            return self.reply(500, body, "application/json")
        with owner.lock:
            owner.queries.append(text)
        if owner.silent_limit is not None:
            rows = rows[: owner.silent_limit]
        lines = ["#Table1", ",".join(names)]
        lines += [",".join("null" if v is None else repr(v) for v in row) for row in rows]
        return self.reply(200, "\n".join(lines).encode() + b"\n", "text/plain")

    # Dust

    def dust(self, params):
        ra, dec = map(float, params["locstr"].split())
        self.owner.dust_request = (ra, dec, float(params["regSize"]))
        # The links lead to temporary files, of which only the last is kept here.
        self.owner.dust_files += 1
        folder = f"{self.owner.url}/workspace/TMP_{self.owner.dust_files}/DUST"
        statistics = "".join(
            f"<{name}{kind}>0.04 (mag)</{name}{kind}>"
            for name in ("refPixelValue", "meanValue", "std", "maxValue", "minValue")
            for kind in ("SandF", "SFD", "")
        )
        place = f"{ra} {dec} equ J2000"
        results = "".join(
            f"<result><desc>{title}</desc><data><image>{folder}/p414Dust.fits</image>"
            f"<table>{folder}/extinction.tbl</table></data><statistics>"
            f"<refCoordinate>{place}</refCoordinate>{statistics}</statistics></result>"
            for title in ("E(B-V) Reddening", "100 Micron Emission", "Dust Temperature")
        )
        body = (
            f'<results status="ok"><input><objname>{place}</objname>'
            f"<regSize>{params['regSize']} (deg)</regSize></input>{results}</results>"
        )
        self.reply(200, body.encode(), "text/xml")

    def dust_map(self):
        ra, dec, size = self.owner.dust_request
        wcs = WCS(naxis=2)
        wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
        wcs.wcs.crval = ra, dec
        n = 41
        wcs.wcs.crpix = (n + 1) / 2, (n + 1) / 2
        wcs.wcs.cdelt = -size / (n - 1), size / (n - 1)
        north = np.linspace(-size / 2, size / 2, n)[:, None]
        values = self.owner.ebv * (1 + 0.1 * north) * np.ones((n, n))
        buffer = io.BytesIO()
        fits.PrimaryHDU(values.astype("f4"), wcs.to_header()).writeto(buffer)
        return buffer.getvalue()


def _error(message):
    return (
        '<?xml version="1.0"?><VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
        '<RESOURCE type="results"><INFO name="QUERY_STATUS" value="ERROR">'
        f"{escape(message)}</INFO></RESOURCE></VOTABLE>"
    ).encode()


def _votable(names, rows, kinds, status):
    fields = []
    for name in names:
        kind = kinds.get(name, np.dtype(int)).kind
        datatype = {"f": "double", "U": "char", "i": "long", "b": "short"}[kind]
        size = ' arraysize="*"' if kind == "U" else ""
        unit = f' unit="{_UNITS[name]}"' if name in _UNITS else ""
        fields.append(f'<FIELD name="{name}" ID="{name}" datatype="{datatype}"{size}{unit}/>')
    cells = "".join(
        "<TR>"
        + "".join("<TD/>" if v is None else f"<TD>{escape(str(v))}</TD>" for v in row)
        + "</TR>"
        for row in rows
    )
    info = '<INFO name="QUERY_STATUS" value="{}"/>'
    last = info.format("OVERFLOW") if status == "OVERFLOW" else ""
    return (
        '<?xml version="1.0"?><VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">'
        f'<RESOURCE type="results">{info.format("OK")}<TABLE>{"".join(fields)}'
        f"<DATA><TABLEDATA>{cells}</TABLEDATA></DATA></TABLE>{last}</RESOURCE></VOTABLE>"
    ).encode()
