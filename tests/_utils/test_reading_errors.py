import errno

import pytest

from shredfinder._utils.files import naming


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (IndexError("out of range"), ValueError, "the image 'a.fits' can't be read: out of range"),
        (OSError("Empty or corrupt FITS file"), ValueError, "can't be read: Empty"),
        (EOFError(), ValueError, "'a.fits' can't be read: EOFError"),
        (KeyError("NAXIS1"), ValueError, "'a.fits' can't be read: NAXIS1"),
        (ValueError("a.fits holds no image"), ValueError, "^a.fits holds no image"),
        (OSError(errno.EACCES, "Permission denied"), PermissionError, "Permission denied"),
        (ImportError("no h5py"), ImportError, "no h5py"),
    ],
)
def test_errors_name_the_file(error, kind, message):
    with pytest.raises(kind, match=message) as caught, naming("a.fits", "the image"):
        raise error
    assert type(caught.value) is kind


def test_missing_columns_stay_key_errors():
    what = "'a.fits' can't be read: no column ra"
    with pytest.raises(KeyError, match=what), naming("a.fits", has_columns=True):
        raise KeyError("no column ra")
