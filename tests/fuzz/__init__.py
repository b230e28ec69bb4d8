"""Spoilt files for everything that reads files: see `tests.fuzz.__main__` for the full run."""
