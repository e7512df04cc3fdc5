"""The proof about one detector, put to another: weights, window, threshold or names are changed.

Every digest is made to fit, so that the bounds alone can tell. By onnxruntime, each changed spec
has a text that is the catastrophe.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from detectorspecs import made, values

from absint.decode.task import DecodeTask, check, verify_each
from absint.ir.graph import FloatArray
from absint.proofs.decode.check import graphs_digest
from absint.proofs.format import Certificate, CertificateError
from absint.search.options import SearchOptions
from absint.search.result import Verdict

CLEAR = 0.05
OWN = "padded on the right"


@dataclass(frozen=True)
class Other:
    """A changed spec: how its detector is called, its weights, and its writer's."""

    call: str = OWN
    detector: int = 100
    writer: int = 0


OTHERS = {
    "other weights": Other(detector=101),
    "a window without the padding": Other(call="any length"),
    "a window from the other side": Other(call="padded on the left"),
    "another writer": Other(writer=1),
}
SIGNED = (("alarm", 1), ("alarm", -1), ("calm", 1), ("calm", -1))


def most(found: list[FloatArray], which: str, sign: int) -> float:
    return max(sign * float(row[int(which == "calm")]) for row in found)


def proved(folder: Path, never: str) -> tuple[DecodeTask, Certificate]:
    task = made(folder, OWN, never)
    (result,) = verify_each(task, SearchOptions(timeout=60))
    assert result.verdict is Verdict.VERIFIED
    assert result.certificate is not None
    claim = Certificate.from_bytes(result.certificate)
    assert check(claim, task).accepted
    return task, claim


def accepted(claim: Certificate, task: DecodeTask) -> bool:
    """Of a proof whose digests and problem are made to be those of ``task``."""
    (problem,) = task.spec.problems
    own = task.graphs_of(problem)
    binding = {"model": task.network.digest, "spec": task.spec.digest, "graph": graphs_digest(own)}
    fits = replace(claim, **binding, problem=problem)
    try:
        return check(Certificate.from_bytes(fits.to_bytes()), task).accepted
    except CertificateError:
        return False


@pytest.mark.parametrize("change", OTHERS)
def test_the_proof_of_another_network(change: str, tmp_path: Path) -> None:
    """Of ``alarm`` or ``calm`` above or below, whichever the change moves most."""
    other = OTHERS[change]
    made(tmp_path, OWN)
    before = values(tmp_path, OWN)
    made(tmp_path, other.call, seed=other.writer, other=other.detector)
    after = values(tmp_path, other.call)
    moved = {one: most(after, *one) - most(before, *one) for one in SIGNED}
    name, sign = max(moved, key=lambda one: moved[one])
    assert moved[name, sign] > 2 * CLEAR
    never = f"{sign} * {name} > {most(before, name, sign) + CLEAR:.4f}"
    _, claim = proved(tmp_path, never)
    task = made(tmp_path, other.call, never, seed=other.writer, other=other.detector)
    assert not accepted(claim, task)


@pytest.mark.parametrize(
    ("name", "sign"),
    [*SIGNED[:2], *(pytest.param(*one, marks=pytest.mark.full) for one in SIGNED[2:])],
)
def test_a_lower_threshold(name: str, sign: int, tmp_path: Path) -> None:
    made(tmp_path, OWN)
    level = most(values(tmp_path, OWN), name, sign)
    task, claim = proved(tmp_path, f"{sign} * {name} > {level + CLEAR:.4f}")
    assert accepted(claim, task)
    assert accepted(claim, made(tmp_path, OWN, f"{sign} * {name} > {level + 2 * CLEAR:.4f}"))
    assert not accepted(claim, made(tmp_path, OWN, f"{sign} * {name} > {level - CLEAR:.4f}"))
    assert not accepted(claim, made(tmp_path, OWN, f"{sign} * {name} < {level + CLEAR:.4f}"))


def test_names_the_other_way_round(tmp_path: Path) -> None:
    """The detector's two outputs are exchanged in the spec, the file is the same."""
    made(tmp_path, OWN)
    found = values(tmp_path, OWN)
    low, high = sorted(("alarm", "calm"), key=lambda name: most(found, name, 1))
    level = most(found, low, 1)
    assert most(found, high, 1) > level + 2 * CLEAR
    _, claim = proved(tmp_path, f"{low} > {level + CLEAR:.4f}")
    assert not accepted(claim, made(tmp_path, OWN, f"{high} > {level + CLEAR:.4f}"))
