"""``absint inspect``: the graph as text and as a picture."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cli.problems import MODEL, Run

from absint.ir import Graph, digest, from_bytes
from absint.ir.text import parse


@pytest.fixture
def graph(run: Run, tmp_path: Path) -> Graph:
    assert run("inspect", MODEL, "--graph", "m.graph").code == 0
    return from_bytes((tmp_path / "m.graph").read_bytes())


def test_the_text_reads_back(run: Run, graph: Graph) -> None:
    outcome = run("inspect", MODEL, "--ir", "--constants", "--format", "json")
    assert digest(parse(outcome.json["ir"])) == digest(graph)
    printed = run("inspect", MODEL, "--ir", "--constants").out
    assert printed.endswith(outcome.json["ir"])


def test_the_summary_has_a_line_for_each_node(run: Run, graph: Graph) -> None:
    lines = run("inspect", MODEL, "--ir").out.splitlines()
    assert sum(line.startswith("%") for line in lines) == len(graph.nodes)
    assert f"# sha256 {digest(graph)}" in lines
    assert run("inspect", MODEL, "--format", "json").json["ir"] is None


def test_the_picture_has_each_node_and_operand(run: Run, graph: Graph, tmp_path: Path) -> None:
    for _ in range(2):  # it may be replaced
        assert run("inspect", MODEL, "--picture", "m.svg").code == 0
    root = ElementTree.parse(tmp_path / "m.svg").getroot()
    tags = Counter(element.tag.rpartition("}")[2] for element in root)
    assert tags["g"] == len(graph.nodes)
    assert tags["path"] == sum(len(node.inputs) for node in graph.nodes)


def test_a_picture_does_not_replace_something_else(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.svg").write_text("<svg>mine</svg>")
    outcome = run("inspect", MODEL, "--picture", "notes.svg")
    assert outcome.code == 2
    assert "not overwritten" in outcome.err


def test_constants_alone_mean_nothing(run: Run) -> None:
    outcome = run("inspect", MODEL, "--constants")
    assert outcome.code == 2
    assert "--constants goes with --ir" in outcome.err
