"""``python benchmarks/run.py [peers] [NAME ...] [--workers N] [--only TEXT] [--sample N]``.

NAME is startup, check, ratio, performance, decode, attention, zonotope, lowering, warm or a folder
of ../shared/vnncomp. Without one: startup and acasxu. After ``peers``, NAMEs are folders that ours
and the tools under ABSINT_PEERS run side by side, each for at most ``--limit`` seconds an instance.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import (
    attention,
    check,
    decode,
    lowering,
    peers,
    performance,
    ratio,
    startup,
    vnncomp,
    warm,
    zonotope,
)

OURS = {
    "startup": startup,
    "decode": decode,
    "attention": attention,
    "zonotope": zonotope,
    "lowering": lowering,
    "warm": warm,
    "check": check,
    "ratio": ratio,
    "performance": performance,
}


def main() -> None:
    """Runs the benchmarks that are asked for, one after another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["startup", "acasxu"])
    parser.add_argument("--workers", type=int, default=2, help="instances side by side")
    parser.add_argument("--only", default="", help="instances whose names contain this")
    parser.add_argument("--sample", type=int, default=0, help="only so many instances, drawn")
    parser.add_argument("--seed", type=int, default=1, help="for the sample")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds, beside the peers")
    given = parser.parse_args()
    if given.names[0] == "peers":
        for name in given.names[1:]:
            peers.bench(name, given.limit, given.sample, given.seed)
        return
    for name in given.names:
        if name in OURS:
            OURS[name].bench()
        else:
            vnncomp.bench(name, given.workers, given.only, given.sample, given.seed)


if __name__ == "__main__":
    main()
