"""The command ``shredfinder``."""

from shredfinder.cli.main import main

__all__ = ["main"]
