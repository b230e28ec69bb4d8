"""Bricks of the Legacy Surveys in a folder, found without opening their files."""

from __future__ import annotations

import os
import re
import warnings
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from shredfinder._utils.files import reading_errors
from shredfinder.exceptions import ShredfinderWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shredfinder._utils.validation import PathLike

__all__ = ["BrickFolder", "find_bricks", "locate_bricks"]

# The centre of a brick is in its name, in units of 0.1° and truncated.
_BRICK_NAME = re.compile(r"(?<!\d)\d{4}[pm]\d{3}(?!\d)")
# The survey's list of all its bricks, also of one release: survey-bricks-dr9-south.fits.gz.
_LIST_NAME = re.compile(r"survey-bricks.*\.fits(\.gz|\.fz)?")
# Half the diagonal of a brick in degrees, and the largest error of its name.
_BRICK_RADIUS, _NAME_ERROR = 0.19, 0.12
_SUFFIXES = ("", ".fz", ".gz")


def locate_bricks(names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the approximate centres of bricks of the Legacy Surveys, by their names.

    Parameters
    ----------
    names : sequence of str
        Names such as ``"1501m022"``.

    Returns
    -------
    ra, dec : `~numpy.ndarray`
        Right ascensions and declinations in degrees; NaN if a name is no brick's.

    Examples
    --------
    >>> from shredfinder.cutouts.services.brick_files import locate_bricks
    >>> ra, dec = locate_bricks(["1501m022", "9999p000"])
    >>> ra.tolist(), dec.tolist()
    ([150.15, nan], [-2.25, nan])
    """
    matrix = np.array(names, "S8").view(np.uint8).reshape(-1, 8).astype(int) - ord("0")
    ra = (matrix[:, :4] @ [1000, 100, 10, 1] + 0.5) / 10
    dec = (matrix[:, 5:] @ [100, 10, 1] + 0.5) / 10
    dec[matrix[:, 4] == ord("m") - ord("0")] *= -1
    wrong = (matrix[:, 0] < 0) | (ra > 360) | (np.abs(dec) > 90)
    ra[wrong] = dec[wrong] = np.nan
    return ra, dec


def find_bricks(folder: PathLike, bands: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Find the files of the Legacy Surveys' bricks in a folder and its subfolders.

    Parameters
    ----------
    folder : path-like
        The folder.
    bands : tuple of str
        Bands to look for.

    Returns
    -------
    bricks : dict
        By path and name without the band, sorted: the file of each band.
    """
    bricks: dict[str, dict[str, str]] = defaultdict(dict)
    ends = _list_ends(bands)
    # This is several times faster than the patterns of pathlib.
    for place, _, names in os.walk(folder):
        for name in names:
            start, band = _split_name(name, ends)
            if band:
                bricks[os.path.join(place, start)][band] = os.path.join(place, name)
    return {key: bricks[key] for key in sorted(bricks)}


def _list_ends(bands: tuple[str, ...]) -> dict[str, str]:
    return {f"-image-{band}.fits{suffix}": band for band in bands for suffix in _SUFFIXES}


def _split_name(name: str, ends: dict[str, str]) -> tuple[str, str]:
    """Return the start of a brick's file name, and its band; empty if it is no brick's."""
    start, found, end = name.rpartition("-image-")
    return start, ends.get(found + end, "") if start else ""


class BrickFolder:
    """The bricks of the Legacy Surveys in a folder and its subfolders.

    A brick that has a folder of its own, as in the survey's releases, counts by this folder's
    name, whose files are listed when they are needed. Any other is found by its files' names.

    Parameters
    ----------
    folder : path-like
        The folder.
    bands : tuple of str
        Bands to look for.

    Attributes
    ----------
    ra, dec : `~numpy.ndarray`
        Centres in degrees; NaN where a name is no brick's.
    radius : `~numpy.ndarray`
        Upper limits of their radii in degrees.
    """

    def __init__(self, folder: PathLike, bands: tuple[str, ...]) -> None:
        self._bands = bands
        own, starts, lists = _walk(folder, bands)
        self._places = sorted(own) + sorted(starts)
        self._n_own = len(own)
        matches = (_BRICK_NAME.search(os.path.basename(place)) for place in self._places)
        self._set_positions([match[0] if match else "" for match in matches], lists)

    def __len__(self) -> int:
        return len(self._places)

    def list_files(self, brick: int) -> dict[str, list[str]]:
        """Return the files of a brick in each band that has some."""
        place = self._places[brick]
        files: dict[str, list[str]] = defaultdict(list)
        if brick < self._n_own:
            for found in find_bricks(place, self._bands).values():
                for band, path in found.items():
                    files[band].append(path)
            return files
        for end, band in _list_ends(self._bands).items():
            if os.path.isfile(place + end):
                files[band] = [place + end]
        return files

    def _set_positions(self, names: list[str], lists: list[str]) -> None:
        """Take the positions from the survey's lists of bricks, or else from the names."""
        self.ra, self.dec = locate_bricks(names)
        self.radius = np.full(len(names), _BRICK_RADIUS + _NAME_ERROR)
        sought = np.array(names, "S8")
        for path in lists:
            try:
                listed, ra, dec = _read_list(path)
            except (OSError, ValueError) as error:
                warnings.warn(
                    f"{error}; the positions of bricks are taken from their names",
                    ShredfinderWarning,
                    stacklevel=4,
                )
                continue
            order = np.argsort(listed)
            row = order[np.searchsorted(listed, sought, sorter=order).clip(max=len(listed) - 1)]
            known = listed[row] == sought
            self.ra[known], self.dec[known] = ra[row[known]], dec[row[known]]
            self.radius[known] = _BRICK_RADIUS


def _walk(folder: PathLike, bands: tuple[str, ...]) -> tuple[list[str], set[str], list[str]]:
    """Return the bricks' own folders, the starts of other bricks' paths, and lists of bricks."""
    own: list[str] = []
    starts: set[str] = set()
    lists: list[str] = []
    ends = _list_ends(bands)
    for place, folders, names in os.walk(folder):
        inside = [name for name in folders if _BRICK_NAME.fullmatch(name)]
        if inside:
            own += [os.path.join(place, name) for name in inside]
            folders[:] = set(folders).difference(inside)
        for name in names:
            start, band = _split_name(name, ends)
            if band:
                starts.add(os.path.join(place, start))
            elif _LIST_NAME.fullmatch(name):
                lists.append(os.path.join(place, name))
    return own, starts, lists


def _read_list(path: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read names and centres from the survey's list of bricks."""
    from astropy.io import fits

    with reading_errors(path, "the list of bricks"), fits.open(path) as hdus:
        data = hdus[1].data
        # Capitals in survey-bricks.fits, small letters in those of the releases.
        names = {name.lower(): name for name in data.names}
        missing = [name for name in ("brickname", "ra", "dec") if name not in names]
        if missing or not len(data):
            raise ValueError(f"it has no {missing[0] if missing else 'rows'}")
        listed = np.asarray(data[names["brickname"]]).astype("S8")
        ra, dec = (np.array(data[names[name]], float) for name in ("ra", "dec"))
    return listed, ra, dec
