"""Run the command line: ``python -m shredfinder``."""

import sys

from shredfinder.cli import main

if __name__ == "__main__":
    sys.exit(main())
