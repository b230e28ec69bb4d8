"""Processes that are killed at every step of a run."""
