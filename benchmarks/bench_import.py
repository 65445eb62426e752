"""How long ``import samslice`` takes, in fresh interpreters.

Fails if the median is above the limit, so that CI notices a heavy import.

    python benchmarks/bench_import.py [--repeats 9] [--limit 0.3]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

_TIMED_IMPORT = """
from time import perf_counter
start = perf_counter()
import samslice
print(perf_counter() - start)
"""


def import_seconds() -> float:
    """Seconds that the import takes in an interpreter that has just started."""
    done = subprocess.run(
        [sys.executable, "-c", _TIMED_IMPORT], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="interpreters to start")
    parser.add_argument("--limit", type=float, default=0.3, help="seconds the median may take")
    options = parser.parse_args()
    import_seconds()  # the first one may have to write the byte code
    seconds = [import_seconds() for _ in range(options.repeats)]
    median = statistics.median(seconds)
    print(
        f"import samslice: median {median:.4f} s, worst {max(seconds):.4f} s "
        f"of {options.repeats}; limit {options.limit} s"
    )
    return 0 if median <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main())
