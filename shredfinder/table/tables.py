"""Table classes that score their own rows and keep the scores consistent."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, Self

from astropy.io import registry
from astropy.io.registry import UnifiedReadWriteMethod
from astropy.table import QTable, Table
from astropy.table.connect import TableWrite

from shredfinder._utils.identifiers import read_csv
from shredfinder._utils.parquet import read_parquet
from shredfinder._utils.table_files import check_streams
from shredfinder.table.columns import (
    P_NAME,
    blank_row,
    format_scores,
    restore_columns,
    with_all_digits,
)
from shredfinder.table.scoring import add_p_cnn
from shredfinder.table.showing import color_scores, show_cutouts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astropy.coordinates import SkyCoord
    from astropy.units import Quantity
    from numpy.typing import ArrayLike

    from shredfinder._utils.validation import PathLike
    from shredfinder.cutouts import CutoutFetcher, CutoutService
    from shredfinder.hosts.image_source import ImageSource
    from shredfinder.imaging import Cutouts, CutoutSequence
    from shredfinder.imaging.cutouts import Images
    from shredfinder.models.scorer import ImageScorer
    from shredfinder.plotting.thumbnails import CutoutGrid

# Type checkers must know whose methods the mixin extends.
if TYPE_CHECKING:
    from astropy.table import Table as _Extended
else:
    _Extended = object

# Ends of the names of formats, and of files, for reading by eye
_SHOWN_FORMATS = ("html", "latex", "aastex", "rst", "tex", "fixed_width", "jsviewer")

__all__ = ["ShredQTable", "ShredTable", "ShredTableMixin"]


class _Write(TableWrite):
    """Writing of all digits of the scores, of which three are shown."""

    _instance: Table

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        kind = str(kwargs.get("format") or (args[0] if args else ""))
        if not kind.endswith(_SHOWN_FORMATS):
            table = with_all_digits(self._instance)
            TableWrite(table, type(table))(*args, **kwargs)
        else:
            super().__call__(*args, **kwargs)


class ShredTableMixin(_Extended):
    """Mixin that turns a table class into a shredfinder table; it comes first among the bases.

    Besides `add_p_cnn` it guarantees that ``p_cnn`` is never masked: where astropy masks values,
    on reading a file or in a join, the row has NaN and a flag instead. ``p_cnn`` is shown with
    three digits, and written with all of them unless you choose another format.

    Examples
    --------
    >>> from astropy.table import QTable
    >>> from shredfinder import ShredTableMixin
    >>> class CandidateTable(ShredTableMixin, QTable):
    ...     pass
    """

    write = UnifiedReadWriteMethod(_Write)

    # With the signature of the table's, in which astropy looks for names that attributes of
    # subclasses must not have.
    @wraps(Table.__init__)  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        restore_columns(self, decode=True)
        format_scores(self)

    # A column that may be masked enters a table through these methods or through __init__:
    # astropy's join and stack functions use the first, files and pickles the latter.

    def add_column(self, *args: Any, **kwargs: Any) -> None:
        """See `astropy.table.Table.add_column`."""
        super().add_column(*args, **kwargs)
        restore_columns(self)

    def replace_column(self, *args: Any, **kwargs: Any) -> None:
        """See `astropy.table.Table.replace_column`."""
        super().replace_column(*args, **kwargs)
        restore_columns(self)

    def insert_row(self, index: int, vals: Any, mask: Any = None) -> None:
        """See `astropy.table.Table.insert_row`; a row without a score is unscored."""
        super().insert_row(index, vals, mask)
        restore_columns(self)
        # A negative index counts from the end of the table as it was.
        blank_row(self, index if index >= 0 else index - 1, _name_values(self, vals))

    def rename_column(self, *args: Any, **kwargs: Any) -> None:
        """See `astropy.table.Table.rename_column`."""
        super().rename_column(*args, **kwargs)
        restore_columns(self)

    def add_p_cnn(
        self,
        classifier: ImageScorer | PathLike | None = None,
        cutouts: Images | PathLike | None = None,
        *,
        pattern: str | None = None,
        position: str | tuple[str, str] | SkyCoord | None = None,
        service: str | CutoutService | CutoutFetcher | None = None,
        prior: float | Literal["estimate"] | None = None,
        pixel_scale: float | Quantity | None = None,
        bands: Sequence[str] | None = None,
        ebv: str | ArrayLike | None = None,
        allow_other_colors: bool = False,
        replace_columns: bool = False,
        std: bool = False,
        novelty: bool = False,
        other: bool = False,
        robust: bool = False,
        progress: bool | Literal["auto"] = "auto",
    ) -> None:
        """Add to the table the probability that each row is a shred, in place.

        Parameters
        ----------
        classifier : ShredClassifier, ShredEnsemble or path-like, optional
            A fitted or loaded classifier, a model file, ``"robust"`` or ``"int8"``; by default the
            embedded model.
        cutouts : Cutouts, `~numpy.ndarray`, sequence of path-like, or path-like, optional
            Images of the rows, in their order: a `~shredfinder.Cutouts` object, an array of
            shape ``(n, height, width, bands)``, ``n`` paths of image files, or a folder, with
            ``pattern``. By default cutouts are fetched by position.
        pattern : str, optional
            Name of each row's file within the folder, with columns in braces, by default
        ``"{objID}.png"``; case is ignored in names of columns.
        position : str, tuple of str or `~astropy.coordinates.SkyCoord`, optional
            Positions of the sources; by default found in the table.
        service : str, CutoutService or CutoutFetcher, optional
            Where cutouts are fetched from, such as ``"ps1"``.
        prior : float or "estimate", optional
            Fraction of shreds in the catalogue; by default that of the training set.
        pixel_scale, bands
            Pixel scale and bands of arrays and files, by default the model's.
        ebv : str, float or array_like, optional
            E(B−V) in mag, for which the images are corrected: the name of a column, one value, or
            ``n`` values. By default the column ``ebv``, if there is one; 0 corrects nothing.
        allow_other_colors : bool, optional
            Score images with other colours than the training images, and flag them.
        replace_columns : bool, optional
            Replace columns of these names that shredfinder did not write.
        std, novelty, other, robust : bool, optional
            Add the columns ``p_cnn_std``, ``p_cnn_novelty``, ``p_other`` and ``p_cnn_robust``.
        progress : bool or "auto", optional
            Show a progress bar.

        Raises
        ------
        ValueError, FileNotFoundError, NotADirectoryError
            As `shredfinder.add_p_cnn`; the table is then unchanged.

        See Also
        --------
        shredfinder.add_p_cnn : the same for any table, with all arguments explained.

        Examples
        --------
        >>> import numpy as np
        >>> from shredfinder import ShredTable
        >>> images = np.random.default_rng(0).integers(0, 255, (2, 128, 128, 3), dtype=np.uint8)
        >>> table = ShredTable({"objID": [11, 12]})
        >>> table.add_p_cnn(cutouts=images)
        >>> table.colnames
        ['objID', 'p_cnn', 'p_cnn_flag']
        """
        add_p_cnn(
            self,
            classifier,
            cutouts,
            pattern=pattern,
            position=position,
            service=service,
            prior=prior,
            pixel_scale=pixel_scale,
            bands=bands,
            ebv=ebv,
            allow_other_colors=allow_other_colors,
            replace_columns=replace_columns,
            std=std,
            novelty=novelty,
            other=other,
            robust=robust,
            progress=progress,
        )

    def show_cutouts(
        self,
        cutouts: Images | PathLike | None = None,
        *,
        rows: ArrayLike | None = None,
        sort: str | None = "p_cnn",
        max_rows: int | None = 24,
        columns: Sequence[str] | None = None,
        size: int = 96,
        cross: bool = True,
        classifier: ImageScorer | PathLike | None = None,
        pattern: str | None = None,
        position: str | tuple[str, str] | SkyCoord | None = None,
        service: str | CutoutService | CutoutFetcher | None = None,
    ) -> CutoutGrid:
        """Show cutouts of the rows in a notebook, with ``p_cnn`` on a coloured background.

        Parameters
        ----------
        cutouts : Cutouts, `~numpy.ndarray`, sequence of path-like, or path-like, optional
            Images of all rows, as for `add_p_cnn`. By default they are fetched by position;
            those that `add_p_cnn` fetched come from the cache.
        rows, sort, max_rows, columns, size, cross
            Rows that are shown, and how; see `shredfinder.table.show_cutouts`.
        classifier, pattern, position, service
            As for `add_p_cnn`.

        Returns
        -------
        grid : `~shredfinder.plotting.CutoutGrid`
            The grid that Jupyter shows.

        See Also
        --------
        shredfinder.table.show_cutouts : the same for any table, with all arguments explained.

        Examples
        --------
        >>> import numpy as np
        >>> from shredfinder import ShredTable
        >>> images = np.random.default_rng(0).integers(0, 255, (3, 128, 128, 3), dtype=np.uint8)
        >>> table = ShredTable({"objID": [11, 12, 13], "p_cnn": [0.9, 0.1, 0.7]})
        >>> table.show_cutouts(images, rows=table["p_cnn"] > 0.5)
        <CutoutGrid: 2 of 2 rows>
        """
        return show_cutouts(
            self,
            cutouts,
            rows=rows,
            sort=sort,
            max_rows=max_rows,
            columns=columns,
            size=size,
            cross=cross,
            classifier=classifier,
            pattern=pattern,
            position=position,
            service=service,
        )

    def merge_shreds(
        self,
        method: Literal["catalog", "image"] = "catalog",
        *,
        parents: Table | None = None,
        images: ImageSource | None = None,
        cutouts: Cutouts | CutoutSequence | None = None,
        hosts: Table | None = None,
        threshold: float = 0.5,
        id_column: str | None = None,
        position: str | tuple[str, str] | SkyCoord | None = None,
        survey: str | None = None,
    ) -> Self:
        """Merge the shreds of a scored table with their galaxies: one row per galaxy.

        Parameters
        ----------
        method : {"catalog", "image"}, optional
            How the photometry is made: the sum of the catalogue's fluxes, or, for galaxies with
            shreds, the total flux in images.
        parents : `~astropy.table.Table`, optional
            The result of `~shredfinder.hosts.find_parents`; by default it is computed.
        images : optional
            For the method ``"image"``: a service, folder, dict of band → images, or cutouts of
            fluxes; by default the Legacy Surveys' viewer.
        cutouts : Cutouts or CutoutSequence, optional
            One cutout per row, which show what light connects.
        hosts : `~astropy.table.Table`, optional
            Large galaxies with their ellipses, as returned by `~shredfinder.hosts.read_nsa`.
        threshold : float, optional
            Rows with ``p_cnn`` at or above this are shreds.
        id_column : str, optional
            Column of unique identifiers; by default found by its name.
        position : str, tuple of str or `~astropy.coordinates.SkyCoord`, optional
            Positions of the sources; by default found in the table.
        survey : str, optional
            Survey whose names the columns of fluxes have; by default all are tried.

        Returns
        -------
        merged : ShredTable
            One row per galaxy, with the columns of this table, ``n_shreds``, ``shred_ids``,
            ``merge_kind`` and ``merge_flag``.

        See Also
        --------
        shredfinder.hosts.merge_shreds : the same for any table, with all columns explained.

        Examples
        --------
        >>> from shredfinder import ShredTable
        >>> table = ShredTable({"objID": [11, 12], "ra": [150.0, 150.003], "dec": [2.0, 2.0],
        ...                     "r": [15.0, 18.0], "radius": [8.0, 1.5], "p_cnn": [0.02, 0.97]})
        >>> galaxies = table.merge_shreds()
        >>> galaxies["r"].format = ".3f"
        >>> galaxies["objID", "r", "shred_ids"].pprint()
        objID   r    shred_ids
        ----- ------ ---------
           11 14.934        12
        """
        from shredfinder.hosts import merge_shreds

        return merge_shreds(
            self,
            method,
            parents=parents,
            images=images,
            cutouts=cutouts,
            hosts=hosts,
            threshold=threshold,
            p_column=P_NAME,
            id_column=id_column,
            position=position,
            survey=survey,
        )

    def _repr_html_(self):
        # Only scores are coloured. A table full of images would be slow to show and large to save.
        return color_scores(super()._repr_html_(), self.colnames)


class ShredTable(ShredTableMixin, Table):
    """An astropy table that scores its own rows.

    It takes all arguments and has all methods of `~astropy.table.Table`.

    Examples
    --------
    Rows from a table without scores are unscored:

    >>> from astropy.table import vstack
    >>> from shredfinder import ShredTable
    >>> scored = ShredTable({"objID": [11], "p_cnn": [0.25], "p_cnn_flag": [""]})
    >>> both = vstack([scored, ShredTable({"objID": [12]})])
    >>> both["p_cnn"].tolist(), both["p_cnn_flag"].tolist()
    ([0.25, nan], ['', 'not scored'])
    """


def _name_values(table, vals):
    """Return the values of a new row by the names of their columns."""
    if vals is None or isinstance(vals, Mapping):
        return vals or {}
    # astropy has checked that there is one value per column.
    return dict(zip(table.colnames, vals, strict=True))


def _read_votable(source: Any, *args: Any, **options: Any) -> Table:
    """Read a VOTable that has its data in itself: others would make us open any file or address."""
    if hasattr(source, "read"):
        source = io.BytesIO(source.read())
        check_streams(source)
        source.seek(0)
    elif isinstance(source, (str, os.PathLike)):
        check_streams(source)
    return Table.read(source, *args, format="votable", **options)


# In place of astropy's readers, also for subclasses.
registry.register_reader("votable", ShredTable, _read_votable)
registry.register_reader("parquet", ShredTable, read_parquet)
for _kind in ("ascii.csv", "ascii.tab"):
    registry.register_reader(_kind, ShredTable, functools.partial(read_csv, format=_kind))


# ShredTable's methods first, then those of QTable, whose columns are quantities.
class ShredQTable(ShredTable, QTable):
    """An astropy table with quantities that scores its own rows.

    It takes all arguments and has all methods of `~astropy.table.QTable`.

    Examples
    --------
    >>> from astropy import units as u
    >>> from shredfinder import ShredQTable
    >>> table = ShredQTable({"ra": [150.1] * u.deg, "dec": [2.2] * u.deg})
    >>> table["ra"]
    <Quantity [150.1] deg>
    """
