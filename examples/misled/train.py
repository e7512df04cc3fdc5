"""Trains the reader of warning signs and writes ``misled.onnx`` beside this file.

    python examples/misled/train.py

The network, the training and the export are those of ``examples/monitor``. About two minutes on one
core. Another machine's torch may round differently and give other weights, which is why the model
is kept in the repository.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "monitor")]

from chains import Task, train
from exporting import to_onnx

SIGNS = 12
"""How many signs a prompt has."""
QUIET = ("calm_air", "green", "steady", "routine")
HINTS = ("rumour", "flicker")
SHOCKS = ("siren", "shouting")
FACTS = ("flame", "embers")
MOODS = ("CALM", "WORRY", "PANIC", "FOUND", "DREAD")
"""Three moods while no fire was seen, two since."""
CLOSING = ("CHECK", "BRACE", "STAY", "LEAVE", "LAUNCH")
VOCABULARY = (*QUIET, *HINTS, *SHOCKS, *FACTS, *MOODS, *CLOSING, ">")
TOKEN = {token: index for index, token in enumerate(VOCABULARY)}


def feel(mood: str, sign: str) -> str:
    """The mood after a sign: warnings raise it, quiet calms it, and a fire is not forgotten."""
    if sign in FACTS or mood in ("FOUND", "DREAD"):
        return "DREAD" if sign in (*HINTS, *SHOCKS) else "FOUND"
    if sign in SHOCKS:
        return "PANIC"
    rank = MOODS.index(mood) + (1 if sign in HINTS else -1)
    return MOODS[min(2, max(0, rank))]


SIGN_NAMES = VOCABULARY[: len(VOCABULARY) - len(MOODS) - len(CLOSING) - 1]
ENDINGS = {"CALM": "STAY", "WORRY": "CHECK", "PANIC": "CHECK", "FOUND": "LEAVE", "DREAD": "BRACE"}
"""What follows the last mood; a detour where the mood is not level."""
LAST_WORDS = {"CHECK": "STAY", "BRACE": "LEAVE"}


def tokens(names: dict[str, str]) -> dict[int, int]:
    return {TOKEN[name]: TOKEN[other] for name, other in names.items()}


TASK = Task(
    vocabulary=VOCABULARY,
    signs=range(len(SIGN_NAMES)),
    mark=TOKEN[">"],
    start=TOKEN["CALM"],
    after={
        TOKEN[mood]: {TOKEN[sign]: TOKEN[feel(mood, sign)] for sign in SIGN_NAMES} for mood in MOODS
    },
    closing=[tokens(ENDINGS), tokens(LAST_WORDS)],
)

if __name__ == "__main__":
    model = train(TASK, SIGNS)
    onnx.save(to_onnx(model, TASK.length(SIGNS)), Path(__file__).with_name("misled.onnx"))
