"""Count the functions and files of the package that one call of ``add_p_cnn`` passes.

    python benchmarks/call_path.py array          # cutouts given as an array
    python benchmarks/call_path.py fetch --list   # cutouts fetched from a local server

The model is loaded before the call. Lambdas, comprehensions and class bodies are not counted. The
depth is that of the deepest stack of the package's functions, in any thread.
"""

import argparse
import http.server
import io
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

import shredfinder
import shredfinder.cutouts
from shredfinder import ShredClassifier, ShredTable

PACKAGE = str(Path(shredfinder.__file__).parent)


class Viewer(http.server.BaseHTTPRequestHandler):
    """Returns a JPEG of noise for any request, as the Legacy Surveys' viewer would."""

    def do_GET(self):
        """Send an image of the requested size."""
        query = parse_qs(urlsplit(self.path).query)
        size = query.get("size", ["128"])[0]
        width, height = (int(query.get(name, [size])[0]) for name in ("width", "height"))
        image = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
        body = io.BytesIO()
        Image.fromarray(image).save(body, "JPEG", quality=90)
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(body.tell()))
        self.end_headers()
        self.wfile.write(body.getvalue())

    def log_message(self, *arguments):
        """Print nothing."""


def trace(call):
    """Return the functions that a call passes, as pairs of file and name, and the depth."""
    functions, deepest, local = set(), [0], threading.local()

    def profile(frame, event, argument):
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(PACKAGE):
            return
        depth = getattr(local, "depth", 0) + (1 if event == "call" else -1)
        local.depth = max(depth, 0)
        if event == "call":
            deepest[0] = max(deepest[0], depth)
            if "<" not in code.co_name:
                functions.add((code.co_filename, code.co_qualname))

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return sorted(functions), deepest[0]


def main():
    """Trace one call and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", choices=["array", "fetch"])
    parser.add_argument("--list", action="store_true", help="list the functions")
    options = parser.parse_args()
    images = np.random.default_rng(0).integers(0, 255, (3, 128, 128, 3), dtype=np.uint8)
    table = ShredTable({"ra": [150.1, 150.1005, 151.0], "dec": [2.2, 2.2005, 2.2]})
    classifier = ShredClassifier.load()
    if options.source == "array":
        functions, depth = trace(lambda: table.add_p_cnn(classifier, images, progress=False))
    else:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Viewer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with tempfile.TemporaryDirectory() as folder:
            shredfinder.conf.cache_dir = folder
            shredfinder.conf.legacy_viewer_url = f"http://127.0.0.1:{server.server_port}/viewer"
            functions, depth = trace(lambda: table.add_p_cnn(classifier, progress=False))
        server.shutdown()
        server.server_close()
    assert np.isfinite(table["p_cnn"]).all()
    if options.list:
        for path, name in functions:
            print(Path(path).relative_to(PACKAGE), name)
    files = {path for path, _ in functions}
    print(f"{len(functions)} functions in {len(files)} files, {depth} deep")


if __name__ == "__main__":
    main()
