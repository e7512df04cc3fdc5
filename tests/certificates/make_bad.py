"""Writes the certificates that must be rejected, one file a trick, into ``bad/``.

Run it as ``python tests/certificates/make_bad.py`` after adding a trick; files are never removed,
and a test holds the folder against this list, byte by byte. All but a few have valid digests.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from proofcases import box, certificate, far_apart, plateau, plateau_stream, problem  # noqa: E402
from prooftrees import EMPTY, HALVE, MIX, OPEN, SAFE, SPLIT, Tree, parse  # noqa: E402

from absint.ir import to_bytes  # noqa: E402
from absint.problem import Cell, Problem, constraint, to_json  # noqa: E402
from absint.proofs.format import MAGIC, Certificate  # noqa: E402
from absint.proofs.stream import Rule, Writer, nearest_multiplier  # noqa: E402

GRAPH = plateau()
CLAIM = far_apart(GRAPH, Fraction(6, 5))
PROOF = plateau_stream()
GOOD = certificate(GRAPH, CLAIM, [PROOF])


@dataclass(frozen=True)
class Bad:
    """A rejected file: its bytes, and what the checker says (a regular expression)."""

    data: bytes
    reason: str


def tree() -> Tree:
    return parse(PROOF, CLAIM.cells[0])


def proof(text: bytes, reason: str, claim: Problem = CLAIM) -> Bad:
    return Bad(certificate(GRAPH, claim, [text]).to_bytes(), reason)


def changed(change: Callable[[Tree], object], reason: str = "does not prove") -> Bad:
    altered = tree()
    change(altered)
    return proof(altered.text(), reason)


def sealed(header: bytes, sections: bytes) -> bytes:
    body = MAGIC + len(header).to_bytes(8, "little") + header + sections
    return body + hashlib.sha256(body).digest()


def with_header(change: Callable[[dict[str, Any]], bytes], reason: str) -> Bad:
    data = GOOD.to_bytes()
    start = len(MAGIC) + 8
    end = start + int.from_bytes(data[len(MAGIC) : start], "little")
    return Bad(sealed(change(json.loads(data[start:end])), data[end:-32]), reason)


def with_problem(old: bytes, new: bytes, reason: str) -> Bad:
    """The canonical problem with a piece of its text replaced, and digests to match."""
    text = to_json(CLAIM).replace(old, new)
    assert text != to_json(CLAIM)
    header = {
        "format": 1,
        "graph": GOOD.graph,
        "model": GOOD.model,
        "problem": hashlib.sha256(text).hexdigest(),
        "sizes": [len(text), len(PROOF)],
        "spec": GOOD.spec,
    }
    return Bad(sealed(canonical(header), text + PROOF), reason)


def canonical(header: dict[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def set_part(index: int, other: Tree) -> Callable[[Tree], object]:
    return lambda t: t.parts[index].become(other)


def set_node(**values: Any) -> Callable[[Tree], object]:
    """Changes fields of the split at [0, 1] x [0, 2]."""

    def change(t: Tree) -> None:
        for name, value in values.items():
            setattr(t.parts[0], name, value)

    return change


def closed_end() -> Bad:
    """Catastrophe ``distance <= 0``: it happens at x0 = x1, where the bound is exactly zero."""
    row = constraint((), [(0, Fraction(1))], Fraction(0))
    claim = problem(GRAPH, Cell(box((0, 2), (0, 2)), ((row,),)))
    return proof(Tree(SAFE, [0]).text(), "does not prove", claim)


def deep() -> Bad:
    """Splits nested beyond the limit, each at a float of its own: 10,001 of them."""
    text = b"".join(Tree(SPLIT, [0], (20_003 - i) / 16_384.0).text() for i in range(3, 10_004))
    return proof(text + Tree(SAFE, [0, 0]).text() * 10_002, "nested more than")


RELU = 2
"""The node of the graph's two neurons, which read x0 - x1 and x1 - x0."""
SOME = nearest_multiplier(1)


def by_phases(first: tuple[int, int] = (RELU, 0), second: tuple[int, int] = (RELU, 1)) -> bytes:
    """A proof of CLAIM: where both operands have one sign there is no distance; elsewhere 1.2 -
    distance + total - 1 is at least 0.2."""
    writer = Writer()
    writer.slopes(bytes(range(4)))
    writer.phase(*first)
    writer.phase(*second)
    writer.safe([0, 0])
    writer.mix([64, 64, SOME, 0, 3, 0, 0])
    writer.phase(*second)
    writer.mix([64, 64, SOME, SOME, 3, 0, 0])
    writer.safe([0, 0])
    return writer.to_bytes()


def relaxed(slopes: bytes = bytes([0, 64])) -> bytes:
    """The same proof with slopes for all bounds of the box; the second side has others."""
    return bytes([Rule.RELAX, *slopes]) + by_phases()


def multiplied(*weights: int) -> bytes:
    """Phase by phase the same MIX."""
    writer = Writer()
    writer.phase(RELU, 0)
    writer.mix(weights)
    writer.mix(weights)
    return writer.to_bytes()


def phases() -> dict[str, Bad]:
    false, text = far_apart(GRAPH, Fraction(3, 4)), by_phases()
    mix = bytes([Rule.MIX, 64, 64, SOME, 0, 3, 0, 0])
    phase, safe = bytes([Rule.PHASE, RELU, 1]), bytes([Rule.SAFE, 0, 0])
    start, first, last = text[:8], phase + safe + mix, text[-14:]
    assert text == start + first + last
    return {
        "phase-of-a-sum": proof(by_phases((1, 0)), "neuron 0 of node 1, which has none"),
        "phase-of-no-node": proof(by_phases((9, 0)), "node 9, which has none"),
        "phase-of-no-entry": proof(by_phases((RELU, 2)), "neuron 2 of node 2, which has none"),
        "phase-twice": proof(by_phases((RELU, 1)), "divided twice"),
        "phase-part-dropped": proof(start + first, "ends before all parts"),
        "phase-parts-swapped": proof(start + last + first, "does not prove"),
        "phase-left-out": proof(start + safe + last, "does not prove"),
        "phases-of-a-false-property": proof(text, "does not prove", false),
        "multiplier-of-the-other-side": proof(
            multiplied(64, 0, nearest_multiplier(64), 3, 0), "does not prove", false
        ),
        "multiplier-as-large-as-can-be": proof(multiplied(1, 1, 255, 1, 255), "does not prove"),
        "multipliers-left-out": proof(start + phase + safe + mix[:-3] + last, "bytes follow"),
        "slopes-too-short": proof(text[:3], "ends inside a list of slopes"),
        "relax-too-short": proof(relaxed()[:2], "ends inside a list of slopes"),
        "relax-too-long": proof(relaxed(bytes([0, 64, 5])), "bytes follow"),
        "relax-of-nothing": proof(relaxed()[:3], "ends before all parts"),
        "relax-of-a-false-property": proof(relaxed(), "does not prove", false),
    }


def bad() -> dict[str, Bad]:
    data, leaf = GOOD.to_bytes(), Tree(SAFE, [0, 0])
    flipped = bytearray(data)
    flipped[-60] ^= 1
    two = problem(GRAPH, CLAIM.cells[0], Cell(box((0, 1), (0, 1)), CLAIM.cells[0].catastrophe))
    false = far_apart(GRAPH, Fraction(3, 4))
    return {
        "flipped-byte": Bad(bytes(flipped), "damaged"),
        "truncated": Bad(data[:-40], "damaged"),
        "bytes-after-the-seal": Bad(data + b"\n", "damaged"),
        "format-of-the-future": Bad(data.replace(b"CERTIFICATE 1", b"CERTIFICATE 2"), "format"),
        "header-format-2": with_header(
            lambda h: canonical({**h, "format": 2}), "header is not well-formed"
        ),
        "header-with-spaces": with_header(
            lambda h: json.dumps(h, sort_keys=True).encode(), "header is not well-formed"
        ),
        "other-problem-digest": with_header(
            lambda h: canonical({**h, "problem": "0" * 64}), "digest does not match"
        ),
        "no-proof": with_header(
            lambda h: canonical({**h, "sizes": [sum(h["sizes"])]}), "header is not well-formed"
        ),
        "exponent-bomb": with_problem(b'"upper":["2"', b'"upper":["1e999999999"', "canonical form"),
        "nan-in-the-box": with_problem(b'"upper":["2"', b'"upper":[NaN', "canonical form"),
        "terms-out-of-order": with_problem(b'[[0,"-1"]]', b'[[1,"-1"],[0,"-1"]]', "not in order"),
        "empty-proof": proof(b"", "ends before all parts"),
        "cell-without-proof": Bad(certificate(GRAPH, two, [PROOF]).to_bytes(), "1 proofs for 2"),
        "proof-without-cell": Bad(
            certificate(GRAPH, CLAIM, [PROOF, leaf.text()]).to_bytes(), "2 proofs for 1"
        ),
        "proofs-of-swapped-cells": Bad(
            certificate(GRAPH, two, [leaf.text(), PROOF]).to_bytes(), "outside its interval"
        ),
        "part-dropped": proof(PROOF[:-3], "ends before all parts"),
        "part-too-many": proof(PROOF + leaf.text(), "bytes follow"),
        "split-removed": changed(lambda t: t.become(t.parts[0].parts[0])),
        "set-widened": changed(lambda t: t.parts[0].become(t.parts[0].parts[0])),
        "parts-swapped": changed(lambda t: t.parts[0].parts.reverse()),
        "part-duplicated": changed(lambda t: t.parts[1].become(t.parts[1].parts[0])),
        "dimension-that-is-not": changed(set_node(numbers=[2]), "does not exist"),
        "cut-outside": changed(set_node(point=2.5), "outside its interval"),
        "cut-at-the-end": changed(set_node(point=2.0), "outside its interval"),
        "cut-at-nan": changed(set_node(point=float("nan")), "outside its interval"),
        "middle-spelled-out": changed(set_node(point=1.0), "not written as one"),
        "cut-moved": changed(set_node(point=1.25)),
        "number-in-long-form": proof(bytes([HALVE, 0x80, 0]) + PROOF[2:], "shortest form"),
        "unknown-rule": proof(bytes([9]), "unknown rule"),
        "constraint-that-is-not": changed(set_part(1, Tree(SAFE, [2, 0])), "does not exist"),
        "empty-without-region": proof(Tree(EMPTY, [0]).text(), "does not exist"),
        "mix-of-nothing": proof(Tree(MIX, [0, 0, 0]).text(), "does not prove"),
        "mix-of-half": proof(Tree(MIX, [255, 255, 0]).text(), "does not prove"),
        "open-leaf": changed(set_part(1, Tree(OPEN)), "open"),
        "property-that-fails": proof(PROOF, "does not prove", false),
        "closed-end": closed_end(),
        "other-network": Bad(replace(GOOD, graph="0" * 64).to_bytes(), "another network"),
        "too-deep": deep(),
        **phases(),
    }


def write(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, item in bad().items():
        (folder / f"{name}.cert").write_bytes(item.data)


if __name__ == "__main__":
    write(HERE / "bad")
    (HERE / "plateau.graph").write_bytes(to_bytes(GRAPH))
    (HERE / "good").mkdir(exist_ok=True)
    (HERE / "good" / "plateau.cert").write_bytes(GOOD.to_bytes())
    divided = certificate(GRAPH, CLAIM, [by_phases()])
    (HERE / "good" / "phases.cert").write_bytes(divided.to_bytes())
    other = certificate(GRAPH, CLAIM, [relaxed()])
    (HERE / "good" / "relaxed.cert").write_bytes(other.to_bytes())
    assert Certificate.from_bytes(GOOD.to_bytes()) == GOOD
