"""Read damaged and hostile files with all readers: ``python -m tests.fuzz --cases 10000``.

No case may crash, hang, execute code of the file, allocate gigabytes, or raise errors other than
the package's own. ``--kind table --case 123`` reruns one case and keeps its file.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz.runner import make_case, run_cases
from tests.fuzz.seeds import make_seeds

# Models take longest, and a checksum rejects many of their cases.
SHARES = {"model": 2, "image": 3, "mosaic": 2, "cutouts": 1, "table": 4, "catalogue": 2, "hosts": 1}


def list_cases(n):
    """Return kinds and numbers of ``n`` cases, divided by the shares of the kinds."""
    total = sum(SHARES.values())
    counts = {kind: n * share // total for kind, share in SHARES.items()}
    counts["table"] += n - sum(counts.values())
    return [(kind, case) for kind, count in counts.items() for case in range(count)]


def main():
    """Run the cases; return 0 if no problem was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kind", choices=SHARES)
    parser.add_argument("--case", type=int)
    arguments = parser.parse_args()
    if arguments.case is not None:
        return _run_one(arguments.kind, arguments.case)
    cases = list_cases(arguments.cases)
    if arguments.kind:
        cases = [(arguments.kind, case) for case in range(arguments.cases)]
    start, seen = time.monotonic(), []

    def report(kind, case, outcome, seconds):
        seen.append((seconds, f"{kind} {case}"))
        if outcome.startswith("FOUND"):
            print(f"{kind} {case}: {outcome}", flush=True)
        elif len(seen) % 500 == 0:
            print(f"{len(seen)} cases, {time.monotonic() - start:.0f} s", flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        canary = folder / "canary"
        seeds = make_seeds(folder, canary)

        def run_part(number):
            (folder / str(number)).mkdir()
            part = cases[number :: arguments.processes]
            return run_cases(part, seeds, folder / str(number), canary, report=report)

        with ThreadPoolExecutor(arguments.processes) as pool:
            results = list(pool.map(run_part, range(arguments.processes)))
    found = _summarize(results)
    seconds, slowest = max(seen)
    print(
        f"{len(seen)} cases in {time.monotonic() - start:.0f} s, the slowest, {slowest}, in "
        f"{seconds:.1f} s: {len(found)} found"
    )
    return bool(found)


def _summarize(results):
    for kind in SHARES:
        total = {}
        for outcomes, _ in results:
            for outcome, n in outcomes.get(kind, {}).items():
                total[outcome] = total.get(outcome, 0) + n
        listed = sorted(total.items(), key=lambda item: -item[1])
        print(f"{kind}: {', '.join(f'{n} {outcome}' for outcome, n in listed)}")
    return [item for _, found in results for item in found]


def _run_one(kind, case):
    from tests.fuzz.targets import run_target

    folder = Path(tempfile.mkdtemp(prefix="shredfinder-fuzz-"))
    name, data = make_case(kind, case, make_seeds(folder, folder / "canary")[kind])
    (folder / f"case-{name}").write_bytes(data)
    print(folder / f"case-{name}", run_target(kind, folder / f"case-{name}"), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
