import errno

import pytest

from shredfinder._utils.files import reading_errors


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (IndexError("out of range"), ValueError, "cannot read the image 'a.fits': out of range"),
        (
            OSError("Empty or corrupt FITS file"),
            ValueError,
            "cannot read the image 'a.fits': Empty",
        ),
        (EOFError(), ValueError, "'a.fits': EOFError"),
        (KeyError("NAXIS1"), ValueError, "'a.fits': NAXIS1"),
        (ValueError("a.fits holds no image"), ValueError, "^a.fits holds no image"),
        (OSError(errno.EACCES, "Permission denied"), PermissionError, "Permission denied"),
        (ImportError("no h5py"), ImportError, "no h5py"),
    ],
)
def test_errors_name_the_file(error, kind, message):
    with pytest.raises(kind, match=message) as caught, reading_errors("a.fits", "the image"):
        raise error
    assert type(caught.value) is kind


def test_missing_columns_stay_key_errors():
    what = "'a.fits': no column ra"
    with pytest.raises(KeyError, match=what), reading_errors("a.fits", has_columns=True):
        raise KeyError("no column ra")
