"""How many free slots the bounds bear: transition cases with all but K slots held at random.

    python examples/plain/free.py [STEP]

For K = 2 to 6, of 20 random cases of a step (4) each, how many are decided without any split.
"""

from __future__ import annotations

import random
import sys

from measure import HERE, cases, margins, only
from model import SLOTS

from absint.decode.task import load
from absint.problem.promptset import members
from absint.proofs.decode.check import StepBounds

COUNT = 20


def main(step: int) -> None:
    task, source = load(HERE / "plain_8.onnx", HERE / "safe.yaml"), random.Random(0)
    bounds = StepBounds(task.spec.problems[0], task.graphs[SLOTS + 1], SLOTS + 1)
    every = list(cases(step))
    for free in range(2, 7):
        found = []
        for _ in range(COUNT):
            case = source.choice(every)
            wide = [slot for slot, mask in enumerate(case.state.sets) if mask & (mask - 1)]
            source.shuffle(wide)
            for slot in wide[free:]:
                case = only(case, slot, source.choice(list(members(case.state.sets[slot]))))
            found.append(case)
        least = sorted(margins(bounds, found))
        decided, middle = sum(margin > 0 for margin in least), least[COUNT // 2]
        print(f"{free} free: {decided} of {COUNT} decided, median margin {middle:.1f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
