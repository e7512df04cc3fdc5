"""The decode graph of examples/g2p says what the package's decoder says."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from absint.decode.greedy import Decoder
from absint.decode.prove import prove_decode
from absint.decode.result import DecodeResult
from absint.decode.search import CellSearch, Effort
from absint.decode.timed import TimedBounds
from absint.ir import Graph, evaluate
from absint.problem.outlook import Outlook
from absint.proofs.decode.check import StepBounds
from absint.proofs.decode.state import Rules
from absint.search.options import Deadline, SearchOptions
from absint.search.result import Verdict

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "g2p"))
import load as g2p
import runtime
import words

WORDS = ("a", "go", "hello", "verified", "don't", "zzzzzz")
CUT_OFF = "ltcp"


def greedy(graph: Graph, word: str) -> list[str]:
    """Runs the graph token by token, as a decoder would, in float32 as the package does."""
    text, emitted = g2p.tokens(word), []
    for step in range(g2p.STEPS):
        slots = np.zeros((1, len(graph.inputs)), np.float32)
        slots[0, : len(text)] = text
        logits = evaluate(graph, slots, load=as_float32)
        token = int(logits.reshape(g2p.STEPS, -1)[step].argmax())
        if token == g2p.STOP:
            break
        text.append(token)
        emitted.append(g2p.VOCABULARY[token])
    return emitted


def as_float32(constant: NDArray[np.float64]) -> NDArray[np.float32]:
    return constant.astype(np.float32)


def weights(seed: int, width: int = 8) -> dict[str, NDArray[np.float32]]:
    """Random ones, of the package's names and layout."""
    rng = np.random.default_rng(seed)
    shapes = {"enc_emb": (29, width), "dec_emb": (74, width), "fc_w": (74, width), "fc_b": (74,)}
    for cell in ("enc", "dec"):
        shapes |= {f"{cell}_w_{side}": (3 * width, width) for side in ("ih", "hh")}
        shapes |= {f"{cell}_b_{side}": (3 * width,) for side in ("ih", "hh")}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_a_step_sees_only_what_was_written_before_it() -> None:
    graph = g2p.decode_graph(weights(0), 2, steps=4)
    assert [port.name for port in graph.outputs] == [f"logits_{t}" for t in (1, 2, 3, 4)]
    assert len(graph.inputs) == 2 + 4 - 1
    slots = np.array([[75, 80, 5, 6, 7], [75, 80, 5, 6, 9]], float)
    first, second = evaluate(graph, slots).reshape(2, 4, -1)
    assert (first[:3] == second[:3]).all()
    assert (first[3] != second[3]).any()
    assert (first[:, sorted(g2p.PHONEME_IDS)] > first[:, sorted(g2p.LETTER_IDS)].max()).all()


def test_bounds_of_one_state_may_take_minutes_but_end_with_the_search() -> None:
    """Of a network of the package's size, with a free letter in each of seven slots."""
    graph, claim = g2p.decode_graph(weights(0, 256), 7), words.problem(words.region(["*" * 7], []))
    bounds, deadline = StepBounds(claim, graph, 7), Deadline.after(1.0)
    rules, decoder = Rules(claim, claim.cells[0], Outlook(claim)), Decoder(graph, claim)
    effort, timed = Effort(2, 400), TimedBounds(bounds, deadline)
    begun = time.process_time()
    search = CellSearch(rules, timed, decoder, effort, deadline)
    search.run()
    assert time.process_time() - begun < 8.0
    assert search.unfinished
    assert not search.cases or not search.shared


def test_a_region_without_words_holds_all_others() -> None:
    cells = words.region(["*", "ab*"], ["abc", "x"])
    held = [word for cell in cells for word in itertools.product(*map(sorted, cell.slots))]
    expected = {tuple(g2p.tokens(letter)) for letter in g2p.LETTERS if letter != "x"}
    expected |= {tuple(g2p.tokens("ab" + letter)) for letter in g2p.LETTERS if letter != "c"}
    assert len(held) == len(set(held))
    assert set(held) == expected
    with pytest.raises(ValueError, match="fits no pattern"):
        words.region(["*"], ["abc"])


def test_the_catastrophe_is_not_to_stop_or_a_special_token() -> None:
    claim = words.problem(words.region(["*"]))
    some, stop = 10, g2p.STOP
    assert not claim.catastrophic([], [some] * (g2p.STEPS - 1) + [stop])
    assert claim.catastrophic([], [some] * g2p.STEPS)
    assert all(claim.catastrophic([], [some, token, stop]) for token in g2p.SPECIAL)


def verdict(folder: Path, patterns: list[str], excluded: Sequence[str] = ()) -> DecodeResult:
    claim = words.problem(words.region(patterns, excluded))
    weights, predict = g2p.read_weights(folder), runtime.predictor(folder)
    graphs = {n: g2p.decode_graph(weights, n) for n in {len(c.slots) for c in claim.cells}}
    return prove_decode(
        graphs,
        claim,
        words.binding(folder, claim),
        lambda n: words.package_runner(predict, graphs[n], claim),
        SearchOptions(),
        bounds_first=False,
    )


def test_words_are_verified_but_for_the_one_that_is_cut_off(folder: Path) -> None:
    found = verdict(folder, ["ltc*"])
    assert found.verdict is Verdict.FALSIFIED
    assert found.counterexample is not None
    assert found.counterexample.prompt == tuple(g2p.tokens(CUT_OFF))
    proved = verdict(folder, ["ltc*", "*"], [CUT_OFF])
    assert proved.verdict is Verdict.VERIFIED
    assert proved.report is not None
    assert proved.report.prompts == proved.report.runs == 51


@pytest.fixture(scope="module")
def folder() -> Path:
    found = g2p.package_folder()
    if found is None:
        pytest.skip("g2p-en 2.1.0 is not installed and G2P_EN is not set")
    return found


@pytest.mark.parametrize("word", [*WORDS, CUT_OFF])
def test_the_graph_writes_what_the_package_writes(folder: Path, word: str) -> None:
    graph = g2p.decode_graph(g2p.read_weights(folder), len(word))
    assert greedy(graph, word) == runtime.predictor(folder)(word)


def test_the_names_are_the_packages(folder: Path) -> None:
    with runtime.stubbed(folder):
        model = importlib.import_module("g2p_en.g2p").G2p()
    assert model.phonemes == list(g2p.PHONEMES)
    assert model.graphemes == ["<pad>", "<unk>", "</s>", *g2p.LETTERS]


def test_one_word_of_four_letters_is_cut_off(folder: Path) -> None:
    assert len(runtime.predictor(folder)(CUT_OFF)) == g2p.STEPS


def test_nothing_of_the_stubs_stays(folder: Path) -> None:
    before = set(sys.modules)
    runtime.predictor(folder)
    assert not {name for name in set(sys.modules) - before if name.startswith(("nltk", "g2p_en"))}
    assert os.fspath(folder.parent) not in sys.path
