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

__all__ = [
    "EXTRA_NAMES",
    "FLAG_NAME",
    "NOVELTY_NAME",
    "P_NAME",
    "STD_NAME",
    "check_columns",
    "name_extras",
    "restore_columns",
    "to_arrow",
    "write_columns",
]

P_NAME = "p_cnn"
FLAG_NAME = "p_cnn_flag"
STD_NAME = "p_cnn_std"
NOVELTY_NAME = "p_cnn_novelty"
# Columns that are there on request only, in their order.
EXTRA_NAMES = (STD_NAME, NOVELTY_NAME)
# Column `meta` key of the model's name, version and hash.
_META_KEY = "shredfinder"
# VOTable keeps descriptions but no other metadata: columns are known again by it.
_MARKER = "shredfinder model"
_P_UCD, _FLAG_UCD = "stat.probability", "meta.code"
_FLAG_DTYPE = np.dtype("U16")


def name_extras(std, novelty):
    """Name the columns on request, as a tuple, by whether each is wanted."""
    wanted = zip(EXTRA_NAMES, (std, novelty), strict=True)
    return tuple(name for name, is_wanted in wanted if is_wanted)


def check_columns(table, overwrite, extras=()):
    """Make sure that scores can be written before any is computed.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    overwrite : bool
        Whether columns that are not shredfinder's may be replaced.
    extras : sequence of str, optional
        Those of `EXTRA_NAMES` that are to be written too.

    Raises
    ------
    ValueError
        If a column in the way is someone else's, or can't be replaced because it is indexed.
    """
    for name in (P_NAME, FLAG_NAME, *EXTRA_NAMES):
        if name not in table.colnames:
            continue
        if name in EXTRA_NAMES and name not in extras and not _is_own(table, name):
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


def write_columns(table, p_cnn, flags, provenance, prior, extras=None):
    """Write scores and flags, in place of earlier ones or as the last columns.

    Columns on request that are there of an earlier scoring, and not asked for now, are removed:
    they would not belong to these scores.

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
    extras : dict of array_like, optional
        Columns on request, of shape ``(n,)``, by their names.
    """
    extras = extras or {}
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
    descriptions = {
        STD_NAME: (f"Standard deviation of p_cnn over eight sides, {condition}", "stat.stdev"),
        NOVELTY_NAME: ("Distance from the training images; above 1 is unlike them", "stat.value"),
    }
    for name in EXTRA_NAMES:
        if name in extras:
            words, ucd = descriptions[name]
            columns[name] = Column(
                np.array(extras[name], dtype=np.float32),
                description=f"{words} {source}",
                meta={"ucd": ucd, _META_KEY: dict(meta)},
            )
        elif name in table.colnames and _is_own(table, name):
            table.remove_column(name)
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


def to_arrow(p_cnn, flags, *extras):
    """Give scores as Arrow's arrays, for files and frames of Parquet's kind.

    Parameters
    ----------
    p_cnn : array_like
        Probabilities, of shape ``(n,)``.
    flags : array_like of str
        Reasons why there is none, of shape ``(n,)``.
    *extras : array_like
        Columns on request, of shape ``(n,)``.

    Returns
    -------
    arrays : list of pyarrow.Array
        Single precision, text, and single precision again. NaN stays NaN: null would be neither
        below nor above a threshold, but unknown.
    """
    import pyarrow as pa

    numbers = [
        pa.array(np.asarray(values, dtype=np.float32), from_pandas=False)
        for values in (p_cnn, *extras)
    ]
    reasons = pa.array(np.asarray(flags, dtype=str).tolist(), type=pa.string())
    return [numbers[0], reasons, *numbers[1:]]


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
        name in (P_NAME, FLAG_NAME, *EXTRA_NAMES)
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
