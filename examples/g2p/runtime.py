"""The runtime that counterexamples are replayed on: the package's own ``predict``, on numpy."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import MagicMock

_UNUSED = ("nltk", "nltk.corpus", "nltk.tokenize", "inflect")
"""What the package imports for dictionaries and numerals; ``predict`` touches none of it, and
importing it for real starts a download."""


def predictor(folder: Path) -> Callable[[str], list[str]]:
    """``G2p.predict`` of the package in ``folder``: a word to its phonemes, without ``</s>``.

    Twenty phonemes mean that the decoder was cut off.
    """
    with stubbed(folder):
        model = importlib.import_module("g2p_en.g2p").G2p()
    predict: Callable[[str], list[str]] = model.predict
    return predict


@contextmanager
def stubbed(folder: Path) -> Iterator[None]:
    """The package is importable, without its dependencies; nothing of this stays behind."""
    before = dict(sys.modules)
    sys.modules.update({name: MagicMock() for name in _UNUSED})
    sys.path.insert(0, str(folder.resolve().parent))
    try:
        yield
    finally:
        sys.path.remove(str(folder.resolve().parent))
        for name in set(sys.modules) - set(before):
            if name.partition(".")[0] in ("nltk", "inflect", "g2p_en"):
                del sys.modules[name]
        sys.modules.update({name: before[name] for name in _UNUSED if name in before})
