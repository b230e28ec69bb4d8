"""The score columns of a table: their names, metadata and consistency.

astropy masks missing values when it reads a VOTable or FITS file (NaN and empty strings) and when
it stacks or joins tables with different rows or columns. The number below a mask is arbitrary, and
comparisons use it: ``table[table["p_cnn"] < 0.5]`` may then select unscored rows.
`restore_columns` puts NaN and a reason there again.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Column, MaskedColumn, QTable, Table

from shredfinder.imaging import CutoutFlag
from shredfinder.models import PriorEstimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

__all__ = [
    "FLAG_NAME",
    "FLAG_WIDTH",
    "NOVELTY_NAME",
    "OPTIONAL_NAMES",
    "OTHER_NAME",
    "P_NAME",
    "ROBUST_NAME",
    "STD_NAME",
    "blank_row",
    "check_columns",
    "drop_formats",
    "format_scores",
    "restore_columns",
    "score_template",
    "to_arrow",
    "with_all_digits",
    "write_columns",
]

P_NAME = "p_cnn"
FLAG_NAME = "p_cnn_flag"
STD_NAME = "p_cnn_std"
NOVELTY_NAME = "p_cnn_novelty"
OTHER_NAME = "p_other"
ROBUST_NAME = "p_cnn_robust"
# Columns that are written on request only, in this order.
OPTIONAL_NAMES = (STD_NAME, NOVELTY_NAME, OTHER_NAME, ROBUST_NAME)
# Key of the model's name, version and hash in the columns' meta.
_META_KEY = "shredfinder"
# VOTable keeps descriptions but no other metadata. This text identifies our columns.
_MARKER = "shredfinder model"
_UCDS = {
    P_NAME: "stat.probability",
    FLAG_NAME: "meta.code",
    STD_NAME: "stat.stdev",
    NOVELTY_NAME: "stat.value",
    OTHER_NAME: "stat.probability",
    ROBUST_NAME: "stat.probability",
}
# Characters per flag, also in formats whose strings have a fixed width.
FLAG_WIDTH = 16
# How tables of the package show scores.
_FORMAT = ".3f"
_FLAG_DTYPE = np.dtype(f"U{FLAG_WIDTH}")


def check_columns(table: Table, replace_columns: bool, optional: Sequence[str] = ()) -> None:
    """Validate that the score columns can be written.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    replace_columns : bool
        Whether columns that shredfinder did not write may be replaced.
    optional : sequence of str, optional
        The optional columns that will be written.

    Raises
    ------
    ValueError
        If a column of other origin would be replaced, or has an index, which astropy cannot
        replace.
    """
    for name in (P_NAME, FLAG_NAME, *OPTIONAL_NAMES):
        if name not in table.colnames:
            continue
        # A user's own column of that name is not touched unless the option is requested.
        if name in OPTIONAL_NAMES and name not in optional and not _is_own(table, name):
            continue
        if table[name].info.indices:
            raise ValueError(
                f"the column {name!r} has an index, so astropy cannot replace it: call "
                f"table.remove_indices({name!r}) first"
            )
        if not (replace_columns or _is_own(table, name)):
            raise ValueError(
                f"the table has a column {name!r} that shredfinder did not write: rename it to "
                "keep it, or use replace_columns=True to replace it"
            )


def write_columns(
    table: Table,
    columns: dict[str, np.ndarray],
    provenance: dict[str, str],
    prior: float | None,
) -> None:
    """Write scores and flags, in place of earlier ones or as the last columns.

    Optional columns of an earlier scoring that are not requested now are removed, since they
    would not belong to these scores.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Table of ``n`` rows.
    columns : dict of `~numpy.ndarray`
        ``p_cnn``, ``p_cnn_flag`` and the optional columns, each of shape ``(n,)``.
    provenance : dict
        Name (``model``), ``version``, hash (``sha256``) and further facts of the model.
    prior : float or None
        Fraction of shreds that the probabilities assume; None for that of the training set. The
        error of a `~shredfinder.models.PriorEstimate` is recorded too.
    """
    p_cnn = np.array(columns[P_NAME], dtype=np.float32)
    flags = np.array(columns[FLAG_NAME], dtype=_FLAG_DTYPE)
    # Every row without a score must have a reason.
    flags[np.isnan(p_cnn) & (flags == CutoutFlag.GOOD)] = CutoutFlag.NOT_SCORED
    # YAML, in which several formats keep metadata, knows only plain Python values.
    meta: dict[str, str | float | None] = {**provenance, "prior": None}
    if prior is None:
        meta["prior_source"] = "training set"
        condition = "at the training set's shred fraction"
    elif isinstance(prior, PriorEstimate):
        # Its last digits depend on the order of the rows.
        value, error = float(f"{float(prior):.6g}"), float(f"{prior.error:.6g}")
        meta |= {"prior": value, "prior_error": error, "prior_source": "estimate"}
        # FITS keeps ASCII only.
        condition = (
            f"at the catalogue's estimated shred fraction of {float(prior):.3f} +/- "
            f"{prior.error:.3f}"
        )
    else:
        meta |= {"prior": float(prior), "prior_source": "given"}
        condition = f"at a shred fraction of {float(prior):g}"
    meta["shredfinder"] = version("shredfinder")
    source = (
        f"({_MARKER} {provenance['model']} {provenance['version']}, "
        f"sha256 {provenance['sha256'][:12]})"
    )
    descriptions = {
        P_NAME: f"Probability of being a shred, {condition}",
        FLAG_NAME: "Why p_cnn is NaN or of limited use; empty otherwise",
        STD_NAME: f"Standard deviation of p_cnn over the 8 rotations/reflections, {condition}",
        NOVELTY_NAME: "Distance from the training set; above 1 is unlike it",
        OTHER_NAME: "Probability of a star, an artefact or blank sky",
        ROBUST_NAME: f"p_cnn of the model for poorer images, {condition}",
    }
    for name in OPTIONAL_NAMES:
        if name not in columns and name in table.colnames and _is_own(table, name):
            table.remove_column(name)
    for name, words in descriptions.items():
        if name not in columns:
            continue
        values = {P_NAME: p_cnn, FLAG_NAME: flags}.get(name)
        # A Column, not the bare array: in a QTable the class decides about masks and units.
        column = Column(
            np.array(columns[name], np.float32) if values is None else values,
            name=name,
            # Only tables of the package write all digits of a column with a format.
            format=_FORMAT if name == P_NAME and hasattr(table, "add_p_cnn") else None,
            description=f"{words} {source}",
            meta={"ucd": _UCDS[name], _META_KEY: dict(meta)},
        )
        # Through Table's own methods: a ShredTable's would look for masked values, of which these
        # columns have none.
        if name in table.colnames:
            Table.replace_column(table, name, column)
        else:
            Table.add_column(table, column, name=name)


def score_template(
    template: Table, provenance: dict[str, str], prior: float | None, optional: Sequence[str] = ()
) -> Table:
    """Return a copy of a table with unscored rows, for the names and metadata of the columns.

    Parameters
    ----------
    template : `~astropy.table.Table`
        A few rows of a catalogue.
    provenance, prior
        As for `write_columns`.
    optional : sequence of str, optional
        Names of the optional columns.

    Returns
    -------
    scored : `~astropy.table.Table`
        The rows with the score columns.
    """
    scored = template.copy()
    unscored = np.full(len(scored), np.nan)
    columns = {P_NAME: unscored, FLAG_NAME: np.full(len(scored), "")}
    write_columns(scored, columns | dict.fromkeys(optional, unscored), provenance, prior)
    return scored


def restore_columns(table: Table, *, decode: bool = False) -> None:
    """Restore a table's score columns in place after reading, stacking or joining.

    Masked or foreign-endian scores become plain float32, with NaN for masked values. Flags become
    plain strings; a masked flag becomes empty if the row has a score, else ``"not scored"``.
    Columns that astropy renamed in a join (``p_cnn_1``) are restored too.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table. Without score columns it is unchanged.
    decode : bool, optional
        Decode flags that are bytes, as read from FITS and HDF5. Do this only when a table is
        created, since astropy encodes them itself to write HDF5.
    """
    for name in table.colnames:
        if not name.startswith(P_NAME) or name.startswith(FLAG_NAME):
            continue
        if name != P_NAME and not _is_own(table, name):
            continue
        _restore_p(table, name)
        # p_cnn_1 belongs to p_cnn_flag_1.
        flag_name = FLAG_NAME + name.removeprefix(P_NAME)
        if flag_name in table.colnames:
            _restore_flags(table, flag_name, table[name], decode)


def blank_row(table: Table, index: int, given: Mapping[str, Any]) -> None:
    """Mark a new row as unscored, if the table has scores and the row has none.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    index : int
        The row.
    given : mapping
        Values with which the row was added, by column. astropy fills other columns, and the place
        of masked values, with zeros.
    """
    names = [n for n in (P_NAME, *OPTIONAL_NAMES) if n in table.colnames and _is_own(table, n)]
    for name in names:
        if given.get(name) is None or given[name] is np.ma.masked:
            _blank(table[name], index)
    if P_NAME not in names or not np.isnan(table[P_NAME][index]) or table[FLAG_NAME][index]:
        return
    flags = table[FLAG_NAME]
    if flags.dtype.kind == "U" and flags.dtype.itemsize < _FLAG_DTYPE.itemsize:
        # A column of short strings would truncate the flag.
        _replace(table, FLAG_NAME, np.asarray(flags).astype(_FLAG_DTYPE))
    table[FLAG_NAME][index] = CutoutFlag.NOT_SCORED
    for name in names:
        _blank(table[name], index)


def _blank(column, index):
    # An index of astropy's does not find NaN, so it is not assigned twice.
    if not np.isnan(column[index]):
        column[index] = np.nan


def format_scores(table: Table) -> None:
    """Show scores with three digits, unless their column has a format already.

    Only tables of the package have this format: the others' text files would lose the digits.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    """
    if P_NAME not in table.colnames or not _is_own(table, P_NAME):
        return
    if table[P_NAME].info.format is None:
        table[P_NAME].info.format = _FORMAT


def drop_formats(table: Table, names: Sequence[str]) -> Table:
    """Return a table of which some columns are written with all digits, without copying data.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    names : sequence of str
        Columns whose format for display is dropped.

    Returns
    -------
    table : `~astropy.table.Table`
        The table itself if no columns are given; else a plain one.
    """
    if not names:
        return table
    # Writers make tables of the same class, which would set the scores' format again.
    plain = (QTable if isinstance(table, QTable) else Table)(table, copy=False)
    for name in names:
        plain[name].info.format = None
    return plain


def with_all_digits(table: Table) -> Table:
    """Return a table whose scores are written with all digits, without copying data.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.

    Returns
    -------
    table : `~astropy.table.Table`
        The table itself if its scores have no format, or one that the user chose; else a plain
        one.
    """
    rounded = P_NAME in table.colnames and table[P_NAME].info.format == _FORMAT
    return drop_formats(table, [P_NAME] if rounded else [])


def _restore_p(table, name):
    column = table[name]
    if not isinstance(column, Column) or column.ndim != 1 or column.dtype.kind != "f":
        return
    masked = isinstance(column, MaskedColumn)
    if not masked and column.dtype == np.float32 and column.dtype.isnative:
        return
    # FITS holds big-endian numbers, which pandas refuses; only the byte order of others changes.
    dtype = np.dtype(np.float32) if _is_own(table, name) else column.dtype.newbyteorder("=")
    if not masked and column.dtype == dtype:
        return
    values = np.ma.filled(column.data, np.nan).astype(dtype)
    _replace(table, name, values)


def _restore_flags(table, name, p_cnn, decode):
    column = table[name]
    if not isinstance(column, Column) or column.ndim != 1 or column.dtype.kind not in "SUO":
        return
    if not isinstance(column, MaskedColumn) and not (decode and column.dtype.kind in "SO"):
        return
    empty = b"" if column.dtype.kind == "S" else ""
    masked = np.ma.getmaskarray(column.data)
    # Masked arrays of strings default to the fill value "N/A".
    flags = np.ma.filled(np.ma.masked_array(column.data, fill_value=empty), empty)
    if flags.dtype.kind == "S":
        flags = np.char.decode(flags, "utf-8")
    # Wide enough for all flags, so that a later assignment is not truncated.
    flags = flags.astype(np.promote_types(flags.astype("U").dtype, _FLAG_DTYPE))
    if isinstance(p_cnn, Column) and p_cnn.dtype.kind == "f":
        flags[masked & np.isnan(p_cnn.data)] = CutoutFlag.NOT_SCORED
    _replace(table, name, flags)


def to_arrow(p_cnn: ArrayLike, flags: ArrayLike, *optional: ArrayLike) -> list[Any]:
    """Convert scores to Arrow arrays, for Parquet files and LSDB.

    Parameters
    ----------
    p_cnn : array_like
        Probabilities of shape ``(n,)``.
    flags : array_like of str
        Flags of shape ``(n,)``.
    *optional : array_like
        Optional columns of shape ``(n,)``.

    Returns
    -------
    arrays : list of pyarrow.Array
        Single precision, text, and single precision. NaN stays NaN and does not become null.
    """
    import pyarrow as pa

    # from_pandas=False: otherwise pyarrow turns NaN into null.
    numbers = [
        pa.array(np.asarray(values, dtype=np.float32), from_pandas=False)
        for values in (p_cnn, *optional)
    ]
    reasons = pa.array(np.asarray(flags, dtype=str).tolist(), type=pa.string())
    return [numbers[0], reasons, *numbers[1:]]


def _replace(table, name, values):
    old = table[name]
    attributes = {key: getattr(old, key) for key in ("unit", "format", "description", "meta")}
    new = Column(values, name=name, copy=False, **attributes)
    if old.info.indices:
        # astropy does not replace indexed columns. The order with NaN equals that with masks.
        for index in old.info.indices:
            index.replace_col(old, new)
        new.info.indices = old.info.indices
        new.info.parent_table = table
        table.columns.__setitem__(name, new, validated=True)
    else:
        Table.replace_column(table, name, new, copy=False)


def _is_own(table, name):
    """Return whether shredfinder wrote a column."""
    info = table[name].info
    # VOTable breaks long descriptions into several lines.
    description = " ".join((info.description or "").split())
    if _META_KEY in (info.meta or {}) or _MARKER in description:
        return True
    # Formats such as CSV keep no metadata. There, the pair of columns is sufficient evidence.
    return (
        name in (P_NAME, FLAG_NAME, *OPTIONAL_NAMES)
        and {P_NAME, FLAG_NAME} <= set(table.colnames)
        and _holds_flags(table[FLAG_NAME])
        and isinstance(table[P_NAME], Column)
        and table[P_NAME].dtype.kind == "f"
    )


def _holds_flags(column):
    if not isinstance(column, Column):
        return False
    values = np.unique(np.ma.compressed(np.ma.masked_array(column.data)).astype("U"))
    return set(values.tolist()) <= {flag.value for flag in CutoutFlag}
