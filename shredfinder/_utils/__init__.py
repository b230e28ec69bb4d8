"""Helpers shared by all subpackages: files, units, columns, positions, validation, progress."""
