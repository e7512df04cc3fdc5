"""A decoding proof as one HTML page without scripts: the picture, then every state step by step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from absint.report.explain.picture import draw
from absint.report.explain.proof import CellProof
from absint.report.explain.reach import Reach
from absint.report.explain.text import LEGEND, paragraph, summary
from absint.report.plot import INK, PAPER
from absint.report.words import count

STYLE = f"""
body {{ font-family: "DejaVu Sans", Helvetica, Arial, sans-serif; color: {INK};
  background: {PAPER}; margin: 1.5rem; }}
.picture {{ overflow-x: auto; border: 1px solid #d8dde3; border-radius: 6px; }}
pre {{ overflow-x: auto; line-height: 1.45; font-size: 0.85rem; }}
summary {{ cursor: pointer; font-weight: bold; margin-top: 0.6rem; }}
p {{ max-width: 50rem; }}
"""


def page(proofs: Sequence[CellProof]) -> str:
    """The whole page."""
    name = escape(proofs[0].problem.name)
    parts = [
        "<!doctype html>",
        f"<html lang='en'><head><meta charset='utf-8'><title>{name}</title>",
        f"<style>{STYLE}</style></head><body>",
        f"<div class='picture'>{draw(proofs)}</div>",
        f"<p>{escape(LEGEND)}</p>",
    ]
    for proof in proofs:
        reach = Reach(proof)
        parts.append(f"<h2>{escape(summary(proof, reach))}</h2>")
        parts += _steps(proof, reach)
    return "\n".join([*parts, "</body></html>", ""])


def _steps(proof: CellProof, reach: Reach) -> Iterator[str]:
    by_step: dict[int, list[int]] = {}
    for index, tree in enumerate(proof.trees):
        if reach.of(tree):
            by_step.setdefault(proof.emitted(tree.state), []).append(index)
    for step, indices in sorted(by_step.items()):
        title = f"after {count(step, 'token')}" if step else "start"
        lines = [line for index in indices for line in paragraph(proof, index, reach)]
        yield f"<details{'' if step else ' open'}><summary>{title}: "
        yield f"{count(len(indices), 'state')}</summary>"
        yield f"<pre>{escape(chr(10).join(lines))}</pre></details>"
