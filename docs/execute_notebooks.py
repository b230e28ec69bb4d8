"""Execute the notebooks and store their outputs: ``python -m docs.execute_notebooks``.

Run this in a checkout after a change of a notebook or of the embedded model. Names of notebooks as
arguments select some of them. Queries go to servers on this machine, so that no network is needed.
"""

import base64
import io
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

from docs.simulated_services import running_simulated_services

FOLDER = Path(__file__).with_name("notebooks")
# Stored PNG images above this size in bytes become JPEG.
_LARGE = 60_000


def main():
    """Execute the notebooks named on the command line, or all, and store their outputs."""
    names = sys.argv[1:] or sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    with tempfile.TemporaryDirectory() as folder, running_simulated_services(folder) as urls:
        for name in names:
            path = FOLDER / f"{name}.ipynb"
            notebook = execute(path, Path(folder) / name, urls)
            nbformat.write(shrink(notebook), path)
            print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")  # noqa: T201


def execute(path, folder, urls):
    """Execute a notebook in a new folder and return it with its outputs; errors are raised.

    ``urls`` are the services' addresses by item of ``shredfinder.conf``.
    """
    for name in ("astropy", "cache"):
        (folder / "config" / name).mkdir(parents=True)
    settings = urls | {"cache_dir": str(folder / "config" / "cache")}
    lines = [f'{name} = "{value}"\n' for name, value in settings.items()]
    (folder / "config" / "astropy" / "shredfinder.cfg").write_text("".join(lines), "utf-8")
    (folder / "work").mkdir()
    packages = [str(FOLDER.parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "jax"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONPATH": os.pathsep.join(filter(None, packages)),
        # Fewer optimisations compile a third faster and train the same networks.
        "XLA_FLAGS": "--xla_backend_optimization_level=1",
        "XDG_CACHE_HOME": str(folder / "config" / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
    client = NotebookClient(
        nbformat.read(path, as_version=4),
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder / "work")}},
    )
    return client.execute(env=environment)


def shrink(notebook):
    """Convert large images to JPEG, and remove what differs from run to run."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            png = data.get("image/png", "")
            if len(png) > _LARGE:
                image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
                buffer = io.BytesIO()
                image.save(buffer, "JPEG", quality=70)
                del data["image/png"]
                data["image/jpeg"] = base64.b64encode(buffer.getvalue()).decode()
    return notebook


if __name__ == "__main__":
    main()
