"""Ways to damage a file, from a single bit to parts of another file."""

import hashlib
import io
import json
import zipfile

import numpy as np

_NUMBERS = (0, 1, -1, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
_TOKENS = (
    b"NAXIS1  =           2000000000", b"TFORM1  = '9999999999D'",
    b"BITPIX  =                    7",
    b"nan", b"inf", b"-1e999", b"1e400", b'"', b"\n", b"\x00", b"\xff\xfe", b",,,,,", b"'", b"END",
    b"%s%n", "é☄".encode(), b"]}", b"{{", b"# ", b"!!python/object/apply:os.getcwd []",
)  # fmt: skip


def damage(data, rng, other=b""):
    """Change bytes of a file in one or several ways.

    Parameters
    ----------
    data : bytes
        The file.
    rng : `~numpy.random.Generator`
        Random generator.
    other : bytes, optional
        Another file, parts of which are inserted.

    Returns
    -------
    damaged : bytes
        The changed file; rarely unchanged.
    """
    data = bytearray(data)
    # Small changes pass more checks than large ones.
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        rng.choice(_WAYS)(data, rng, other)
    return bytes(data)


def _place(data, rng):
    # Headers at the start are chosen more often than their length suggests.
    end = len(data) if rng.random() < 0.5 else min(len(data), 3000)
    return int(rng.integers(0, end + 1))


def _flip(data, rng, other):
    for _ in range(rng.integers(1, 9)):
        if data:
            data[min(_place(data, rng), len(data) - 1)] ^= 1 << int(rng.integers(8))


def _overwrite(data, rng, other):
    at, n = _place(data, rng), int(rng.integers(1, 65))
    data[at : at + n] = rng.bytes(n)


def _insert(data, rng, other):
    at = _place(data, rng)
    data[at:at] = rng.bytes(int(rng.integers(1, 65)))


def _remove(data, rng, other):
    at = _place(data, rng)
    del data[at : at + int(rng.integers(1, max(2, len(data) // 4)))]


def _cut(data, rng, other):
    del data[_place(data, rng) :]


def _repeat(data, rng, other):
    at = _place(data, rng)
    part = data[at : at + int(rng.integers(1, 3000))]
    data[at:at] = part * int(rng.integers(1, 5))


def _splice(data, rng, other):
    at, start = _place(data, rng), int(rng.integers(0, len(other) + 1))
    data[at : at + 200] = other[start : start + int(rng.integers(1, 3000))]


def _number(data, rng, other):
    value, size = int(rng.choice(_NUMBERS[:11])), int(rng.choice([1, 2, 4, 8]))
    order = str(rng.choice(["big", "little"]))
    at = _place(data, rng)
    data[at : at + size] = (value % 256**size).to_bytes(size, order)


def _digit(data, rng, other):
    places = [i for i, byte in enumerate(data[:20_000]) if 48 <= byte < 58]
    if places:
        data[int(rng.choice(places))] = int(rng.choice(list(b"0123456789-.eE ")))


def _token(data, rng, other):
    token, at = _TOKENS[int(rng.integers(len(_TOKENS)))], _place(data, rng)
    data[at : at + (len(token) if rng.random() < 0.5 else 0)] = token


def _card(data, rng, other):
    # A FITS header has lines of 80 bytes; other files are merely overwritten.
    at = int(rng.integers(0, max(1, min(len(data), 9000) // 80))) * 80
    to = int(rng.integers(0, max(1, min(len(data), 9000) // 80))) * 80
    data[at : at + 80] = data[to : to + 80]


_WAYS = [
    _flip, _overwrite, _insert, _remove, _cut, _repeat, _splice, _number, _digit, _token, _card,
]  # fmt: skip


def damage_model(data, rng):
    """Damage one part of a model file and correct its checksums, so that they pass.

    Parameters
    ----------
    data : bytes
        The model file.
    rng : `~numpy.random.Generator`
        Random generator.

    Returns
    -------
    damaged : bytes
        The changed file.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    head = json.loads(members["model.json"])
    name = str(rng.choice(list(members), p=[0.5 if n == "model.json" else 0.25 for n in members]))
    if name == "model.json":
        for _ in range(rng.integers(1, 4)):
            whole = rng.random() < 0.1 or not isinstance(head.get("description"), dict)
            _damage_entry(head if whole else head["description"], rng)
    else:
        members[name] = damage(members[name], rng, members["model.json"])
        if isinstance(head.get("sha256"), dict) and rng.random() < 0.95:
            head["sha256"][name] = hashlib.sha256(members[name]).hexdigest()
    members["model.json"] = json.dumps(head).encode()
    if rng.random() < 0.03:
        del members[str(rng.choice(list(members)))]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _damage_entry(entries, rng):
    """Set an entry of the JSON, at any depth, to a value of any type."""
    while True:
        key = str(rng.choice(list(entries))) if entries else "new"
        if not isinstance(entries.get(key), dict) or not entries[key] or rng.random() < 0.3:
            break
        entries = entries[key]
    values = (
        None, True, "", "nonsense", [], {}, [1], ["g", "r", "z"], ["g", 1], [[1]], {"a": {}},
        1e308,
        float("nan"), float("inf"), -float("inf"), 0.5, -0.5, *_NUMBERS, [128, 128], [10**9, 10**9],
        [0, 0], [-1, 128], [128], "galaxy", ["shred", "galaxy"], "x" * 100_000, 10**400,
    )  # fmt: skip
    entries[key] = values[int(rng.integers(len(values)))]
    if rng.random() < 0.1:
        del entries[key]


def choose(items, rng):
    """Choose an item of a sequence of any type."""
    return items[int(rng.integers(len(items)))]


def make_rng(kind, case):
    """Return the random generator of a case, always the same."""
    return np.random.default_rng([*kind.encode(), case])
