"""``python benchmarks/run.py [NAME ...] [--workers N] [--only TEXT] [--sample N]``.

NAME is startup, decode, attention, zonotope, lowering or a folder of ../shared/vnncomp. Without
one: startup and acasxu.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import attention, decode, lowering, startup, vnncomp, zonotope


def main() -> None:
    """Runs the benchmarks that are asked for, one after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["startup", "acasxu"])
    parser.add_argument("--workers", type=int, default=2, help="instances side by side")
    parser.add_argument("--only", default="", help="instances whose names contain this")
    parser.add_argument("--sample", type=int, default=0, help="only so many instances, drawn")
    parser.add_argument("--seed", type=int, default=1, help="for the sample")
    given = parser.parse_args()
    for name in given.names:
        if name == "startup":
            startup.bench()
        elif name == "decode":
            decode.bench()
        elif name == "attention":
            attention.bench()
        elif name == "zonotope":
            zonotope.bench()
        elif name == "lowering":
            lowering.bench()
        else:
            vnncomp.bench(name, given.workers, given.only, given.sample, given.seed)


if __name__ == "__main__":
    main()
