"""``shredfinder demo``: score a simulated field, offline, and write it as example data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from shredfinder.cli.arguments import add_seed_argument, check_output

if TYPE_CHECKING:
    import argparse

    from shredfinder.datasets.examples import Examples
    from shredfinder.table import ShredTable

__all__ = ["configure_demo", "demo"]

_EPILOG = """\
examples:
  shredfinder demo
  shredfinder demo -o field.png
  shredfinder demo --save example/
  shredfinder classify example/candidates.fits --cutouts example/cutouts/ -o scored.fits

The simulated field contains three bright hosts and their shreds, satellites, background galaxies,
stars and noise. The column label is the true class, and p_cnn the model's score. The performance on
simulated images does not predict the performance on real ones, which is in the model card.

--save writes candidates.fits, cutouts/, hosts.ecsv and images/ (FITS images in g, r and z). The
examples of the documentation use these files. Without --save and -o, no file is written.
"""
# As `shredfinder.datasets.examples.SEED`, which is not imported for --help.
_SEED = 31
# The largest number of lines of the printed table.
_MAX_LINES = 24


def configure_demo(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = (
        "Simulate a small g, r, z field, score its sources with the embedded model and print the "
        "table. The field is the example data of the documentation."
    )
    parser.epilog = _EPILOG
    parser.add_argument(
        "-o",
        "--output",
        metavar="PNG",
        type=Path,
        help="image of the field with the shreds marked, replaced if it exists",
    )
    parser.add_argument(
        "--save",
        metavar="DIR",
        type=Path,
        help="folder for the catalogue, cutouts, hosts and images of the field",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the files in the folder if they exist"
    )
    add_seed_argument(parser, help="random seed of the field", default=_SEED)


def demo(args: argparse.Namespace) -> None:
    """Simulate, score and print a field; plot and save it on request."""
    from shredfinder._utils.runtime import import_optional
    from shredfinder.datasets.examples import simulate_examples

    # Fail before the simulation.
    if args.output is not None:
        check_output(args.output, overwrite=True)
        import_optional("matplotlib", "plotting the field")
        _check_format(args.output)
    if args.save is not None:
        _check_folder(args.save, args.overwrite)
    print("simulating a field …", file=sys.stderr)
    examples = simulate_examples(args.random_state)
    table = examples.candidates.copy()
    table.add_p_cnn(cutouts=examples.cutouts)
    _print_table(table)
    if args.output is not None:
        _plot(examples, table, args.output)
        print(f"image of the field: {args.output}", file=sys.stderr)
    if args.save is not None:
        _save(examples, args.save)
        print(f"example data: {args.save}", file=sys.stderr)
    if args.output is None and args.save is None:
        print(
            "no file was written: use -o PNG to plot the field, or --save DIR to write the "
            "catalogue and its cutouts",
            file=sys.stderr,
        )


def _check_format(path: Path) -> None:
    from matplotlib.backend_bases import FigureCanvasBase

    if path.suffix.lower().removeprefix(".") not in FigureCanvasBase.get_supported_filetypes():
        raise ValueError(
            f"unknown image format {path.suffix!r} of {str(path)!r}: use .png, .jpg, .pdf or .svg"
        )


def _check_folder(folder: Path, overwrite: bool) -> None:
    if not folder.exists():
        if not folder.absolute().parent.is_dir():
            raise FileNotFoundError(f"the folder of {str(folder)!r} does not exist: create it")
        return
    if not folder.is_dir():
        raise NotADirectoryError(f"{str(folder)!r} is a file: name a folder")
    for name in ("candidates.fits", "hosts.ecsv"):
        check_output(folder / name, overwrite)


def _print_table(table: ShredTable) -> None:
    import numpy as np

    from shredfinder.table.summaries import summarize_scores

    shown = table["objid", "ra", "dec", "r", "type", "label", "p_cnn", "p_cnn_flag"]
    print("\n".join(shown.pformat(max_lines=_MAX_LINES, max_width=-1)))
    print("\n".join(summarize_scores(table)))
    called, is_shred = np.asarray(table["p_cnn"]) >= 0.5, np.asarray(table["label"]) == "shred"
    print(
        f"{np.count_nonzero(called & is_shred)} of {np.count_nonzero(is_shred)} true shreds were "
        f"found, and {np.count_nonzero(called & ~is_shred)} of {np.count_nonzero(~is_shred)} true "
        "galaxies were classified as shreds"
    )


def _plot(examples: Examples, table: ShredTable, path: Path) -> None:
    from shredfinder._utils.files import atomic_write
    from shredfinder.plotting import plot_field

    ax = plot_field(examples.field.image, examples.field.wcs, table)
    with atomic_write(path) as temporary:
        ax.figure.savefig(temporary, dpi=130)


def _save(examples: Examples, folder: Path) -> None:
    from astropy.io import fits

    from shredfinder._utils.files import atomic_write
    from shredfinder.table import write_catalogue

    (folder / "images").mkdir(parents=True, exist_ok=True)
    names = [f"{objid}.png" for objid in examples.candidates["objid"]]
    examples.cutouts.write(folder / "cutouts", names=names, overwrite=True)
    field = examples.field
    for band, pixels in zip(field.bands, field.fluxes, strict=True):
        header = field.wcs.to_header()
        header["FILTER"] = band
        header["BUNIT"] = "nanomaggy"
        image = fits.CompImageHDU(pixels, header, compression_type="RICE_1")
        with atomic_write(folder / "images" / f"field-{band}.fits.fz") as temporary:
            fits.HDUList([fits.PrimaryHDU(), image]).writeto(temporary)
    write_catalogue(examples.hosts, folder / "hosts.ecsv")
    # Last, since its existence means that the folder is complete.
    write_catalogue(examples.candidates, folder / "candidates.fits")
