"""The columns that a scored table has, what they carry, and what may befall them.

astropy masks values where there are none: when a VOTable or FITS file is read (NaN and empty
strings), and when tables of different columns or rows are stacked or joined. Below a mask anything
may stand, and a comparison sees it: ``table[table["p_cnn"] < 0.5]`` may then hold rows without an
answer. `restore_columns` puts NaN and a reason there again.
"""

import numpy as np
from astropy.table import Column, MaskedColumn, Table

import shredfinder
from shredfinder.imaging import CutoutFlag

__all__ = ["FLAG_NAME", "P_NAME", "check_columns", "restore_columns", "to_arrow", "write_columns"]

P_NAME = "p_cnn"
FLAG_NAME = "p_cnn_flag"
# Column `meta` key of the model's name, version and hash.
_META_KEY = "shredfinder"
# VOTable keeps descriptions but no other metadata: columns are known again by it.
_MARKER = "shredfinder model"
_P_UCD, _FLAG_UCD = "stat.probability", "meta.code"
_FLAG_DTYPE = np.dtype("U16")


def check_columns(table, overwrite):
    """Make sure that scores can be written before any is computed.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    overwrite : bool
        Whether columns that are not shredfinder's may be replaced.

    Raises
    ------
    ValueError
        If a column in the way is someone else's, or can't be replaced because it is indexed.
    """
    for name in (P_NAME, FLAG_NAME):
        if name not in table.colnames:
            continue
        if table[name].info.indices:
            raise ValueError(
                f"the column {name!r} has an index, so astropy can't replace it: remove it "
                f"first, with table.remove_indices({name!r})"
            )
        if not (overwrite or _is_own(table, name)):
            raise ValueError(
                f"the table has a column {name!r} that shredfinder did not write: rename it to "
                "keep it, or replace it with overwrite=True (--replace-columns on the command line)"
            )


def write_columns(table, p_cnn, flags, provenance, prior):
    """Write scores and flags, in place of earlier ones or as the last columns.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table, of ``n`` rows.
    p_cnn : array_like
        Probabilities, of shape ``(n,)``; NaN where there is no answer.
    flags : array_like of str
        Reasons why there is no answer, of shape ``(n,)``.
    provenance : dict
        The model's name (``model``), ``version`` and hash (``sha256``), and what else is known
        of it.
    prior : float, str or None
        The share of shreds that the probabilities hold for; None is the training mix.
    """
    p_cnn = np.array(p_cnn, dtype=np.float32)
    flags = np.array(flags, dtype=_FLAG_DTYPE)
    # No row may be left without both an answer and a reason.
    flags[np.isnan(p_cnn) & (flags == CutoutFlag.GOOD)] = CutoutFlag.NOT_SCORED
    # Plain Python values: YAML, which several formats keep metadata in, knows no others.
    prior = prior if prior is None or isinstance(prior, str) else float(prior)
    meta = {**provenance, "prior": prior, "shredfinder": shredfinder.__version__}
    source = (
        f"({_MARKER} {provenance['model']} {provenance['version']}, "
        f"sha256 {provenance['sha256'][:12]})"
    )
    condition = {None: "at the training mix", "estimate": "for the catalogue's estimated share"}
    condition = condition.get(prior) or f"for a share of shreds of {prior:g}"
    columns = {
        P_NAME: Column(
            p_cnn,
            description=f"Probability of being a shred, {condition} {source}",
            meta={"ucd": _P_UCD, _META_KEY: dict(meta)},
        ),
        FLAG_NAME: Column(
            flags,
            description=f"Why p_cnn is NaN or of limited use; empty otherwise {source}",
            meta={"ucd": _FLAG_UCD, _META_KEY: dict(meta)},
        ),
    }
    for name, column in columns.items():
        if name in table.colnames:
            table.replace_column(name, column)
        else:
            table.add_column(column, name=name)


def restore_columns(table, *, decode=False):
    """Undo in place what reading, stacking and joining did to a table's scores.

    Masked or foreign-endian scores become plain float32 with NaN where they were masked; flags
    become plain strings: where one was masked, it is empty if the row has an answer and
    ``"not scored"`` if not. Columns that astropy renamed in a join (``p_cnn_1``) are treated
    likewise.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table; one without scores is left as it is.
    decode : bool, optional
        Make text of flags that are bytes, as FITS and HDF5 give them. Not to be done at each
        change of a column: astropy makes bytes of them itself to write HDF5.
    """
    for name in table.colnames:
        if not name.startswith(P_NAME) or name.startswith(FLAG_NAME):
            continue
        if name != P_NAME and not _is_own(table, name):
            continue
        _restore_p(table, name)
        flag_name = FLAG_NAME + name.removeprefix(P_NAME)
        if flag_name in table.colnames:
            _restore_flags(table, flag_name, table[name], decode)


def _restore_p(table, name):
    column = table[name]
    if not isinstance(column, Column) or column.ndim != 1 or column.dtype.kind != "f":
        return
    masked = isinstance(column, MaskedColumn)
    if not masked and column.dtype == np.float32 and column.dtype.isnative:
        return
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
    flags = np.ma.filled(np.ma.masked_array(column.data, fill_value=empty), empty)
    if flags.dtype.kind == "S":
        flags = np.char.decode(flags, "utf-8")
    # At least as wide as all flags, lest a later assignment be cut off.
    flags = flags.astype(np.promote_types(flags.astype("U").dtype, _FLAG_DTYPE))
    if isinstance(p_cnn, Column) and p_cnn.dtype.kind == "f":
        flags[masked & np.isnan(p_cnn.data)] = CutoutFlag.NOT_SCORED
    _replace(table, name, flags)


def to_arrow(p_cnn, flags):
    """Give scores as Arrow's arrays, for files and frames of Parquet's kind.

    Parameters
    ----------
    p_cnn : array_like
        Probabilities, of shape ``(n,)``.
    flags : array_like of str
        Reasons why there is none, of shape ``(n,)``.

    Returns
    -------
    values, reasons : pyarrow.Array
        Single precision and text. NaN stays NaN: null would be neither below nor above a
        threshold, but unknown.
    """
    import pyarrow as pa

    values = pa.array(np.asarray(p_cnn, dtype=np.float32), from_pandas=False)
    return values, pa.array(np.asarray(flags, dtype=str).tolist(), type=pa.string())


def _replace(table, name, values):
    old = table[name]
    attributes = {key: getattr(old, key) for key in ("unit", "format", "description", "meta")}
    new = Column(values, name=name, copy=False, **attributes)
    if old.info.indices:
        # astropy does not replace indexed columns; their order is the same with NaN as masked.
        for index in old.info.indices:
            index.replace_col(old, new)
        new.info.indices = old.info.indices
        new.info.parent_table = table
        table.columns.__setitem__(name, new, validated=True)
    else:
        Table.replace_column(table, name, new, copy=False)


def _is_own(table, name):
    """Tell whether shredfinder wrote a column."""
    info = table[name].info
    # VOTable breaks long descriptions into lines.
    description = " ".join((info.description or "").split())
    if _META_KEY in (info.meta or {}) or _MARKER in description:
        return True
    # Formats such as CSV keep no metadata: the pair of columns is evidence enough.
    return (
        name in (P_NAME, FLAG_NAME)
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
