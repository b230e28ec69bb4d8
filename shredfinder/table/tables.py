"""Table classes that score their own rows and keep the scores whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astropy.table import QTable, Table

from shredfinder.table.columns import restore_columns
from shredfinder.table.scoring import add_p_cnn
from shredfinder.table.showing import color_scores, show_cutouts

if TYPE_CHECKING:
    from shredfinder._utils.types import PathLike
    from shredfinder.classifier import ShredClassifier
    from shredfinder.imaging.cutouts import Images
    from shredfinder.plotting.thumbnails import CutoutGrid

# A mixin of any table; type checkers must know whose methods it extends.
if TYPE_CHECKING:
    from astropy.table import Table as _Extended
else:
    _Extended = object

__all__ = ["ShredQTable", "ShredTable", "ShredTableMixin"]


class ShredTableMixin(_Extended):
    """What makes a table class a shredfinder table; goes before it among the base classes.

    Besides `add_p_cnn` it gives the promise that ``p_cnn`` is never masked: where astropy masks
    values, on reading a file or in a join, the row has NaN and a flag instead.

    Examples
    --------
    >>> from astropy.table import QTable
    >>> from shredfinder import ShredTableMixin
    >>> class CandidateTable(ShredTableMixin, QTable):
    ...     pass
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        restore_columns(self, decode=True)

    # All ways by which a column that may be masked gets into a table: astropy's join and stack
    # functions use the first, files and pickles come by __init__.

    def add_column(self, *args: Any, **kwargs: Any) -> None:
        """See `astropy.table.Table.add_column`."""
        super().add_column(*args, **kwargs)
        restore_columns(self)

    def replace_column(self, *args: Any, **kwargs: Any) -> None:
        """See `astropy.table.Table.replace_column`."""
        super().replace_column(*args, **kwargs)
        restore_columns(self)

    def insert_row(self, *args: Any, **kwargs: Any) -> None:
        """See `astropy.table.Table.insert_row`."""
        super().insert_row(*args, **kwargs)
        restore_columns(self)

    def rename_column(self, *args: Any, **kwargs: Any) -> None:
        """See `astropy.table.Table.rename_column`."""
        super().rename_column(*args, **kwargs)
        restore_columns(self)

    def add_p_cnn(
        self,
        classifier: ShredClassifier | None = None,
        cutouts: Images | PathLike | None = None,
        **kwargs: Any,
    ) -> None:
        """Add to the table the probability of each row of being a shred, in place.

        Parameters
        ----------
        classifier : ShredClassifier, optional
            A fitted or loaded classifier; by default the model that comes with the package.
        cutouts : Cutouts, `~numpy.ndarray`, sequence of path-like, or path-like, optional
            Images of the rows, in their order: a `~shredfinder.Cutouts` object, an array of
            shape ``(n, height, width, bands)``, ``n`` paths of image files, or a folder, with
            ``pattern``. By default cutouts are fetched by position.
        **kwargs
            Further arguments, as of `shredfinder.add_p_cnn`: ``pattern``, ``position``,
            ``prior``, ``pixel_scale``, ``bands``, ``allow_other_colors``, ``overwrite`` and
            ``progress``.

        Raises
        ------
        ValueError, FileNotFoundError, NotADirectoryError
            As `shredfinder.add_p_cnn` does; the table then stays as it was.

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
        add_p_cnn(self, classifier, cutouts, **kwargs)

    def show_cutouts(self, cutouts: Any = None, **kwargs: Any) -> CutoutGrid:
        """Show the rows' cutouts in a notebook, with their ``p_cnn`` in colour.

        Parameters
        ----------
        cutouts : Cutouts, `~numpy.ndarray`, sequence of path-like, or path-like, optional
            Images of the rows, as for `add_p_cnn`. By default they are fetched by position; those
            that `add_p_cnn` fetched come from the cache.
        **kwargs
            Further arguments, as of `shredfinder.table.show_cutouts`: ``rows``, ``sort``,
            ``max_rows``, ``columns``, ``size``, ``cross``, ``classifier``, ``pattern``,
            ``position`` and ``fetch``.

        Returns
        -------
        grid : `~shredfinder.plotting.CutoutGrid`
            What Jupyter shows.

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
        return show_cutouts(self, cutouts, **kwargs)

    def _repr_html_(self):
        # Only scores are coloured: a table of images would be slow to show and heavy to save.
        return color_scores(super()._repr_html_(), self.colnames)


class ShredTable(ShredTableMixin, Table):
    """An astropy table that scores its own rows.

    It takes all that `~astropy.table.Table` takes and does all that it does.

    Examples
    --------
    A row that comes from a table without scores has no answer, and says so:

    >>> from astropy.table import vstack
    >>> from shredfinder import ShredTable
    >>> scored = ShredTable({"objID": [11], "p_cnn": [0.25], "p_cnn_flag": [""]})
    >>> both = vstack([scored, ShredTable({"objID": [12]})])
    >>> both["p_cnn"].tolist(), both["p_cnn_flag"].tolist()
    ([0.25, nan], ['', 'not scored'])
    """


class ShredQTable(ShredTable, QTable):
    """An astropy table with quantities that scores its own rows.

    It takes all that `~astropy.table.QTable` takes and does all that it does.

    Examples
    --------
    >>> from astropy import units as u
    >>> from shredfinder import ShredQTable
    >>> table = ShredQTable({"ra": [150.1] * u.deg, "dec": [2.2] * u.deg})
    >>> table["ra"]
    <Quantity [150.1] deg>
    """
