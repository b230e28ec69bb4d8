"""Damaged files for all readers of files: see `tests.fuzz.__main__` for the full run."""
