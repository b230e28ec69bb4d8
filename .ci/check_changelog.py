"""Check that a branch which changes ``shredfinder/`` also adds an entry to ``CHANGES.rst``.

Uses the local git repository only::

    python .ci/check_changelog.py origin/main
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main():
    """Compare HEAD with the base branch; the exit status is 1 if the entry is missing."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("base", nargs="?", default="origin/main", help="branch to merge into")
    base = parser.parse_args().base
    # Three dots: only the changes since the branches parted.
    changed = run_git("diff", "--name-only", f"{base}...HEAD").splitlines()
    package = [name for name in changed if name.startswith("shredfinder/")]
    added = run_git("diff", "--numstat", f"{base}...HEAD", "--", "CHANGES.rst").split()
    if package and (not added or added[0] == "0"):
        sys.exit(
            f"{len(package)} files in shredfinder/ changed since {base}, for example {package[0]}, "
            "but CHANGES.rst has no new line: add an entry"
        )
    print(f"{len(package)} files in shredfinder/ changed: changelog check passed")


def run_git(*arguments):
    """Return the output of a git command, or exit with git's message."""
    result = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if result.returncode:
        sys.exit(f"git {' '.join(arguments)} failed: {result.stderr.strip()}")
    return result.stdout


if __name__ == "__main__":
    main()
