"""The least margins of seven cases, all slots free, by one bound each.

python examples/plain/seven.py
"""

from __future__ import annotations

import time

from measure import HERE, Case, cases, margins
from model import CAP, OBSERVATIONS, SLOTS, STATES, TOKEN

from absint.decode.task import load
from absint.proofs.decode.check import StepBounds

SEVEN = (
    (1, 0, "slow"),
    (2, 1, "ping"),
    (4, 1, "sync"),
    (4, 2, "retry"),
    (7, 1, "warn"),
    (9, 2, None),
    (9, CAP, None),
)
"""Step, severity of the state written last, observation read next."""


def find(step: int, last: int, seen: str | None) -> Case:
    """The case of ``measure.py``."""
    for case in cases(step):
        sets = case.state.sets
        written = step == 1 or sets[-1] == 1 << TOKEN[STATES[last]]
        if written and (seen is None or sets[step - 1] == 1 << OBSERVATIONS.index(seen)):
            return case
    raise ValueError(f"no such case of step {step}")


def main() -> None:
    task = load(HERE / "plain_8.onnx", HERE / "safe.yaml")
    for step, last, seen in SEVEN:
        bounds = StepBounds(task.spec.problems[0], task.graphs[SLOTS + 1], SLOTS + 1)
        begin = time.process_time()
        (least,) = margins(bounds, [find(step, last, seen)])
        used = time.process_time() - begin
        print(f"step {step}, S{last}, {seen or '-'}: {least:.2f} in {used:.1f} s", flush=True)


if __name__ == "__main__":
    main()
