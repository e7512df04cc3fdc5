"""The rules of proofs about decoding. A state is a set of prompts with what was emitted."""

from __future__ import annotations

import z3

from absint.proofs.lemmas.lemma import Claim, Lemma, reals

VOCABULARY, TREES = 4, 6


def _winner(logits: list[z3.ArithRef], token: int) -> z3.BoolRef:
    """Argmax as torch and ONNX have it: of equals, the lowest index."""
    before = [logits[token] > logits[j] for j in range(token)]
    after = [logits[token] >= logits[j] for j in range(token + 1, len(logits))]
    return z3.And(*before, *after)


def _cases() -> Claim:
    """Each token outside of K loses to some token; here every way in which that can be."""
    logits = reals("y0 y1 y2 y3")
    kept = [z3.Bool(f"kept{i}") for i in range(VOCABULARY)]
    premises = [z3.Or(kept[i], _loses(logits, i)) for i in range(VOCABULARY)]
    emitted = [z3.Implies(_winner(logits, i), kept[i]) for i in range(VOCABULARY)]
    return premises, z3.And(*emitted)


def _loses(logits: list[z3.ArithRef], token: int) -> z3.BoolRef:
    rivals = [j for j in range(len(logits)) if j != token]
    beats = [logits[j] >= logits[token] if j < token else logits[j] > logits[token] for j in rivals]
    return z3.Or(*beats)


def _some_winner() -> Claim:
    logits = reals("y0 y1 y2 y3")
    return [], z3.PbEq([(_winner(logits, i), 1) for i in range(VOCABULARY)], 1)


def _split() -> Claim:
    """Sets of tokens as bit masks: a token of the set is in one of the parts that cover it."""
    token, whole, first, second = z3.BitVecs("token whole first second", 16)
    return [token & whole != 0, whole & ~(first | second) == 0], z3.Or(
        token & first != 0, token & second != 0
    )


State = z3.DeclareSort("State")
Text = z3.DeclareSort("Text")


def _goto() -> Claim:
    """Safe: no text of the state is catastrophic."""
    inside = z3.Function("inside", Text, State, z3.BoolSort())
    bad = z3.Function("bad", Text, z3.BoolSort())
    small, large = z3.Consts("small large", State)
    text = z3.Const("text", Text)
    contained = z3.ForAll([text], z3.Implies(inside(text, small), inside(text, large)))
    safe = z3.ForAll([text], z3.Implies(inside(text, large), z3.Not(bad(text))))
    return [contained, safe], z3.ForAll([text], z3.Implies(inside(text, small), z3.Not(bad(text))))


def _induction() -> Claim:
    """Trees in order, each of which holds if all later ones do."""
    holds = [z3.Bool(f"holds{i}") for i in range(TREES)]
    return [z3.Implies(z3.And(*holds[i + 1 :]), holds[i]) for i in range(TREES)], z3.And(*holds)


LEMMAS = (
    Lemma(
        "argmax has one winner",
        "Exactly one token wins, ties going to the lowest index.",
        frozenset({"rule:decode.cases", "op:argmax"}),
        _some_winner,
    ),
    Lemma(
        "cases",
        "If each token outside of K loses to some token, the emitted one is in K.",
        frozenset({"rule:decode.cases", "op:argmax"}),
        _cases,
    ),
    Lemma(
        "token sets",
        "A token of a set is in one of the parts that cover the set.",
        frozenset({"rule:decode.split"}),
        _split,
    ),
    Lemma(
        "containment",
        "What holds of all texts of a state holds of those of a part of it.",
        frozenset({"rule:decode.goto"}),
        _goto,
    ),
    Lemma(
        "induction",
        "Where each tree holds if all later ones do, all hold; here for six trees.",
        frozenset({"rule:decode.goto"}),
        _induction,
    ),
)
