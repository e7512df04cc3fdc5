"""Decoding proofs in words and pictures: every state, every way on, how many prompts."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cli.problems import MODEL, SAFE, Run
from onnxdecoders import VOCABULARY, OnnxDecoder, Session

from absint.decode.greedy import Decoder
from absint.decode.search import CellSearch, Effort
from absint.decode.task import load
from absint.decode.tree import to_bytes
from absint.problem.decode import Atom, DecodeProblem, Machine, PromptCell
from absint.problem.outlook import Outlook
from absint.problem.promptset import PromptSpace, members
from absint.proofs.decode.check import StepBounds, graphs_digest
from absint.proofs.decode.state import Rules, State
from absint.proofs.decode.stream import Rule, Step
from absint.proofs.format import Certificate
from absint.report.explain.groups import overview
from absint.report.explain.proof import CellProof, Node, nodes, read
from absint.report.explain.reach import Reach
from absint.report.explain.states import number, tokens
from absint.report.explain.text import explain
from absint.search.options import Deadline

SPEC = """\
decode:
  vocabulary: [a, b, c, X, Y, END]
  prompt: '[a b c]{3}'
  steps: 3
  machines: {last: {reads: prompt, last: '[a b]'}}
never:
  all:
    - {machine: last, is: a}
    - {output: {contains: END}}
"""


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """What a search by bounds alone finds; what it cannot decide is open."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    OnnxDecoder(seed=1).save(tmp_path / "model.onnx")
    task = load(tmp_path / "model.onnx", tmp_path / "spec.yaml")
    (problem,) = task.spec.problems
    (cell,), graph = problem.cells, task.graphs[3]
    search = CellSearch(
        Rules(problem, cell, Outlook(problem)), StepBounds(problem, graph, 3),
        Decoder(graph, problem), Effort(6, 40_000), Deadline.after(60),
    )  # fmt: skip
    search.run()
    proof = to_bytes(search.root, search.shared, len(problem.vocabulary))
    digest = graphs_digest(task.graphs)
    claim = Certificate(task.network.digest, task.spec.digest, digest, problem, (proof,))
    (tmp_path / "spec.cert").write_bytes(claim.to_bytes())
    return tmp_path / "spec.cert"


def follow(proof: CellProof, prompt: tuple[int, ...], written: list[int]) -> Node:
    """Where the proof ends for a prompt, following what onnxruntime wrote."""
    node = proof.trees[0]
    while node.children or node.step.rule is Rule.GOTO:
        text = [*prompt, *written][: len(node.state.sets)]
        assert all(mask >> token & 1 for mask, token in zip(node.state.sets, text, strict=True))
        if node.step.rule is Rule.GOTO:
            node = proof.trees[node.step.goal + 1]
        elif node.step.rule is Rule.SPLIT:
            chosen = [bool(m >> text[node.step.slot] & 1) for m in node.step.parts].index(True)
            node = node.children[chosen]
        elif node.step.rule is Rule.CASES:
            token = written[len(node.state.sets) - len(prompt)]
            node = node.children[node.step.tokens.index(token)]
        else:
            (node,) = node.children
    return node


def test_what_is_written_is_what_the_proof_says(certificate: Path, tmp_path: Path) -> None:
    (proof,) = read(Certificate.from_bytes(certificate.read_bytes()))
    session = Session(tmp_path / "model.onnx")
    for prompt in itertools.product(range(3), repeat=3):
        end = follow(proof, prompt, session.write(prompt, 3))
        assert end.step.rule in (Rule.DONE, Rule.OPEN)


def test_machines_are_where_the_spec_says(certificate: Path) -> None:
    lines = list(explain(read(Certificate.from_bytes(certificate.read_bytes()))))
    assert any("0 read, last none|b" in line for line in lines)
    assert any("read, last a; " in line for line in lines)
    assert not any("prompt machine at" in line for line in lines)


def test_the_prompts_that_get_to_a_place_are_counted(certificate: Path) -> None:
    (proof,) = read(Certificate.from_bytes(certificate.read_bytes()))
    wanted: dict[Node, set[tuple[int, ...]]] = {n: set() for t in proof.trees for n in nodes(t)}
    for prompt in itertools.product(range(3), repeat=3):
        for node in places(proof, prompt):
            wanted[node].add(prompt)
    reach = Reach(proof)
    assert {node: set(reach.of(node)) for node in wanted} == wanted
    assert len(wanted) > 5


def places(proof: CellProof, prompt: tuple[int, ...]) -> set[Node]:
    """Everywhere that a proof leads for a prompt, whatever may be written."""
    found, waiting = set[Node](), [proof.trees[0]]
    while waiting:
        node = waiting.pop()
        found.add(node)
        if node.step.rule is Rule.GOTO:
            waiting.append(proof.trees[node.step.goal + 1])
        elif node.step.rule is Rule.SPLIT and node.step.slot < len(prompt):
            chosen = [mask >> prompt[node.step.slot] & 1 for mask in node.step.parts].index(1)
            waiting.append(node.children[chosen])
        else:
            waiting += node.children
    return found


def arrived(proof: CellProof) -> list[int]:
    """The shared states that prompts get to."""
    every = itertools.product(*proof.cell.slots)
    seen = set[Node]().union(*(places(proof, prompt) for prompt in every))
    return [index for index, tree in enumerate(proof.trees) if tree in seen]


def test_what_no_prompt_gets_to_is_not_called_open() -> None:
    """A shared state that is wider than what leads to it, open where nothing arrives."""
    proof = wide()
    reach = Reach(proof)
    ends = {n.step.rule for t in proof.trees for n in nodes(t) if not n.children and reach.of(n)}
    assert ends == {Rule.GOTO, Rule.DONE, Rule.RUN}
    text = "\n".join(explain([proof]))
    assert "OPEN" not in text
    assert "1 text followed one by one, nothing open" in text
    assert "slot 1 b: safe: 1 text followed one by one" in text
    assert not any(key.end == "open" for key in overview(proof, reach).groups)


def wide() -> CellProof:
    """One slot of a, b and c; a and b lead to a shared state of all three."""
    cell = PromptCell((frozenset({0, 1, 2}),))
    problem = DecodeProblem(
        "wide", ("a", "b", "c"), (cell,), 1, frozenset(), (Machine("output", ((0,) * 3,), (0,)),),
        Atom(0, frozenset({1})),
    )  # fmt: skip
    root = State((7,), 0, (), (0,), False)
    parts = [replace(root, sets=(mask,)) for mask in (1, 2, 4)]
    split = Step(Rule.SPLIT, slot=0, parts=(1, 2, 4))

    def tree(*rules: Step) -> Node:
        leaves = [Node(state, rule) for state, rule in zip(parts, rules, strict=True)]
        return Node(root, split, leaves)

    goto, done, run, left = (Step(r) for r in (Rule.GOTO, Rule.DONE, Rule.RUN, Rule.OPEN))
    return CellProof(problem, cell, (tree(goto, goto, done), tree(done, run, left)))


def test_the_text(run: Run, certificate: Path) -> None:
    outcome = run("explain", certificate)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("spec: 27 (3^3) prompts, up to 3 steps\n")
    (proof,) = read(Certificate.from_bytes(certificate.read_bytes()))
    heads = [int(n) for n in re.findall(r"^  #(\d+)  ", outcome.out, re.MULTILINE)]
    assert sorted(heads) == arrived(proof)
    named = {int(n) for n in re.findall(r"-> #(\d+)$", outcome.out, re.MULTILINE)}
    assert named == set(heads) - {0}
    first = re.findall(r"writes (\w+)", outcome.out)
    assert set(first) <= set(VOCABULARY)
    assert " 27 prompts: *{3}\n" in outcome.out


def test_the_picture(run: Run, certificate: Path, tmp_path: Path) -> None:
    outcome = run("explain", certificate, "--format", "svg")
    assert outcome.code == 0
    root = ElementTree.fromstring(outcome.out)
    titles = [e.text or "" for e in root.iter("{http://www.w3.org/2000/svg}title")]
    (proof,) = read(Certificate.from_bytes(certificate.read_bytes()))
    named = {int(n) for title in titles for n in re.findall(r"#(\d+)", title)}
    assert named == set(arrived(proof))
    assert run("explain", certificate, "--format", "svg", "--output", "x.svg").out == ""
    assert (tmp_path / "x.svg").read_text() == outcome.out
    assert run("explain", certificate, "--format", "svg", "--output", "x.svg").code == 0


def test_the_page(run: Run, certificate: Path) -> None:
    outcome = run("explain", certificate, "--format", "html")
    assert outcome.code == 0
    assert outcome.out.startswith("<!doctype html>")
    assert outcome.out.count("<details") == outcome.out.count("</details>") >= 2
    assert "<script" not in outcome.out


def test_names_are_escaped(run: Run, tmp_path: Path) -> None:
    text = SPEC.replace("[a, b, c, X, Y, END]", "['<b>', '&', c, X, Y, '</svg>']")
    text = text.replace("[a b c]", '["<b>" "&" c]').replace("'[a b]'", "'[c]'")
    text = text.replace("is: a", "is: c").replace("{contains: END}", "Y c X")
    (tmp_path / "spec.yaml").write_text(text)
    OnnxDecoder(seed=1).save(tmp_path / "model.onnx")
    assert run("verify", "model.onnx", "--region", "spec.yaml").code == 0
    outcome = run("explain", "spec.cert", "--format", "svg")
    ElementTree.fromstring(outcome.out)
    assert "<b>" not in run("explain", "spec.cert", "--format", "html").out


def test_what_cannot_be_explained(run: Run, certificate: Path, tmp_path: Path) -> None:
    assert run("verify", MODEL, "--region", SAFE).code == 0
    outcome = run("explain", "safe.cert")
    assert outcome.code == 2
    assert "see absint plot" in outcome.err
    data = certificate.read_bytes()
    (tmp_path / "bad.cert").write_bytes(data[:-1])
    assert run("explain", "bad.cert").code == 2
    outcome = run("explain", certificate, "--output", tmp_path / "model.onnx", "--format", "svg")
    assert outcome.code == 2
    assert "is not overwritten" in outcome.err


@pytest.mark.parametrize(
    ("count", "wanted"),
    [
        (0, "0"),
        (10**15 - 1, "9" * 15),
        (10**15, "1e15"),
        (16**16, "1.84e19"),
        (10**64, "1e64"),
        (7 * 10**400, "7e400"),
    ],
)
def test_numbers_of_prompts(count: int, wanted: str) -> None:
    assert number(count) == wanted


def test_sets_of_tokens() -> None:
    names = ["ok", "warn", "fail", "a b"]
    assert tokens(names, 0b0001) == "ok"
    assert tokens(names, 0b1000) == '"a b"'
    assert tokens(names, 0b0011) == "[ok warn]"
    assert tokens(names, 0b0111, 0b0111) == "*"
    assert tokens(names, 0b0110, 0b0111) == "*-[ok]"
    space = PromptSpace(1)
    assert space.product([frozenset(members(0b0110))]).count == 2
