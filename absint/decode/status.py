"""Moments of a running proof about a network that decodes, for progress displays."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounding:
    """Bounds decide what may be emitted at a step (from 1), or say what a finished text is."""

    step: int
    steps: int
    cases: int
    """Bounds so far, in this search."""
    waiting: int
    """States of this step that are not decided."""

    def __str__(self) -> str:
        return f"step {self.step} of {self.steps}: {self.cases} cases, {self.waiting} states wait"


@dataclass(frozen=True)
class Running:
    """Prompts are followed one by one."""

    texts: int
    prompts: int
    """How many are to be followed."""

    def __str__(self) -> str:
        return f"{self.texts} of {self.prompts} prompts run one by one"


@dataclass(frozen=True)
class Checking:
    """The checker goes through the proof."""

    cases: int

    def __str__(self) -> str:
        return f"checking: {self.cases} cases"


Moment = Bounding | Running | Checking
