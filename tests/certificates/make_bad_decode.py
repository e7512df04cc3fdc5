"""Writes the decoding certificates that must be rejected into ``bad/decode/``, one file a trick.

Run it as ``python tests/certificates/make_bad_decode.py`` after adding a trick; files are never
removed, and a test holds the folder against this list, byte by byte. All have valid digests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from absint.ir import Constant, Graph, GraphBuilder, to_bytes
from absint.problem.decode import Atom, DecodeProblem, Machine, PromptCell
from absint.proofs.decode.check import graphs_digest
from absint.proofs.decode.state import State
from absint.proofs.decode.stream import Rule, Step, Writer
from absint.proofs.format import Certificate

HERE = Path(__file__).parent
SLOTS, SIZE = 2, 3
DONE, OPEN, RUN = Step(Rule.DONE), Step(Rule.OPEN), Step(Rule.RUN)
PAIR = frozenset({0, 1})


@dataclass(frozen=True)
class Bad:
    data: bytes
    reason: str


def graph() -> Graph:
    """Logits are the sum of a row for each token of the prompt: 2 wins only where 2 occurs."""
    builder = GraphBuilder()
    table = {"weight": Constant(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 4.0]]))}
    tokens = [builder.input(f"token_{slot}", (), "int64") for slot in range(SLOTS)]
    xs = [builder.add("embedding", [token], consts=table) for token in tokens]
    return builder.build({"logits_1": builder.add("sum", xs, attrs={"coefficients": (1, 1)})})


GRAPH = graph()
CLAIM = DecodeProblem(
    name="never 2",
    vocabulary=("a", "b", "c"),
    cells=(PromptCell((PAIR, PAIR)),),
    steps=1,
    stop=frozenset(),
    machines=(Machine("output", ((0, 0, 1), (1, 1, 1)), (0, 1)),),
    catastrophe=Atom(0, frozenset({1})),
)
FALSE = replace(CLAIM, cells=(PromptCell((PAIR, frozenset({0, 2}))),))


def split(*parts: int) -> Step:
    return Step(Rule.SPLIT, slot=0, parts=parts)


def cases(tokens: Sequence[int], beaters: Sequence[int]) -> Step:
    return Step(Rule.CASES, tokens=tuple(tokens), beaters=tuple(beaters))


def claim(
    *steps: Step, shared: Sequence[State] = (), problem: DecodeProblem = CLAIM
) -> Certificate:
    writer = Writer(SIZE)
    for state in shared:
        writer.shared(state)
    for step in steps:
        writer.step(step)
    digest = graphs_digest({SLOTS: GRAPH})
    return Certificate("0" * 64, "1" * 64, digest, problem, (writer.to_bytes(),))


PROOF = (split(1, 2), cases((0, 1), (0,)), DONE, DONE, cases((0, 1), (1,)), DONE, DONE)
GOOD = claim(*PROOF)


def bad() -> dict[str, Bad]:
    everything = State((3, 3), 0, (), (0,), False)
    goto, found = Step(Rule.GOTO, goal=0), "may be emitted, by its bound"
    tricks = {
        "wrong-beater": (claim(PROOF[0], cases((0, 1), (1,)), *PROOF[2:]), found),
        "no-beater": (claim(cases((0, 1), ()), DONE, DONE), found),
        "tie-to-the-higher": (claim(cases((1,), (1,)), DONE), found),
        "case-dropped": (claim(cases((0,), (0,)), DONE), found),
        "part-dropped": (claim(split(1), *PROOF[1:4]), "without parts"),
        "part-widened": (claim(split(1, 3), *PROOF[1:]), "overlap"),
        "part-beyond": (claim(split(1, 6), *PROOF[1:]), "not its set"),
        "done-too-early": (claim(DONE), "can still happen"),
        "circle": (claim(goto, goto, shared=[everything]), "rest on itself"),
        "goal-too-small": (
            claim(goto, RUN, shared=[replace(everything, sets=(3, 1))]), "not contained",
        ),
        "goal-of-another-state": (
            claim(goto, DONE, shared=[replace(everything, output=(1,))]), "not contained",
        ),
        "open": (claim(OPEN), "open"),
        "false-run": (claim(RUN, problem=FALSE), "not proved to be harmless"),
        "false-proof": (claim(*PROOF, problem=FALSE), found),
        "other-network": (replace(GOOD, graph="0" * 64), "another network"),
    }  # fmt: skip
    return {name: Bad(made.to_bytes(), reason) for name, (made, reason) in tricks.items()}


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, item in bad().items():
        (folder / f"{name}.cert").write_bytes(item.data)


if __name__ == "__main__":
    write(HERE / "bad" / "decode")
    (HERE / "decoder.graph").write_bytes(to_bytes(GRAPH))
    (HERE / "good" / "decode").mkdir(parents=True, exist_ok=True)
    (HERE / "good" / "decode" / "sum.cert").write_bytes(GOOD.to_bytes())
