"""A decoding proof as an SVG picture: steps from left to right, groups of states, ways between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from absint.report.decoding import counts
from absint.report.explain.groups import Group, Key, Overview, overview
from absint.report.explain.proof import CellProof
from absint.report.explain.reach import Reach
from absint.report.explain.text import summary
from absint.report.plot import DANGER, INK, PAPER, SOFT

WIDTH, HEIGHT = 164, 40
GAP_X, GAP_Y = 64, 16
MARGIN, TOP, HEADING = 28, 64, 40
SAFE = "#2f8f6b"
MAX_LABEL = 20
FONT = "font-family='DejaVu Sans, Helvetica, Arial, sans-serif'"


@dataclass(frozen=True)
class _Panel:
    """One cell's groups with the places of their boxes."""

    view: Overview
    places: dict[Key, tuple[float, float]]
    heading: str
    width: float
    height: float


def draw(proofs: Sequence[CellProof]) -> str:
    """The SVG of all cells, one below the other; the same proof gives the same text."""
    problem = proofs[0].problem
    panels = [_panel(proof) for proof in proofs]
    total = counts.words(counts.of_problem(problem), counts.product(problem))
    width = max(max(panel.width for panel in panels), 560.0)
    height = TOP + sum(panel.height for panel in panels)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:g}' height='{height:g}' "
        f"viewBox='0 0 {width:g} {height:g}' {FONT}>",
        f"<rect width='{width:g}' height='{height:g}' fill='{PAPER}'/>",
        _text(MARGIN, 30, problem.name, 17, INK, "font-weight='bold'"),
        _text(MARGIN, 50, f"{total}, up to {problem.steps} steps", 12, SOFT),
    ]
    y = float(TOP)
    for panel in panels:
        parts.append(f"<g transform='translate(0 {y:g})'>{''.join(_drawn(panel))}</g>")
        y += panel.height
    return "\n".join([*parts, "</svg>", ""])


def _panel(proof: CellProof) -> _Panel:
    reach = Reach(proof)
    view = overview(proof, reach)
    columns: dict[int, list[Key]] = {}
    for key in view.groups:
        columns.setdefault(key.step, []).append(key)
    places: dict[Key, tuple[float, float]] = {}
    for step in sorted(columns):
        x = MARGIN + step * (WIDTH + GAP_X)
        order = sorted(columns[step], key=lambda key: _height_of(key, view, places))
        for row, key in enumerate(order):
            places[key] = (x, HEADING + row * (HEIGHT + GAP_Y))
    width = 2 * MARGIN + WIDTH + max(columns) * (WIDTH + GAP_X)
    height = HEADING + max(map(len, columns.values())) * (HEIGHT + GAP_Y) + MARGIN
    return _Panel(view, places, summary(proof, reach), width, height)


def _height_of(
    key: Key, view: Overview, places: dict[Key, tuple[float, float]]
) -> tuple[float, str]:
    """Where a box would best stand: at the middle of those that lead to it."""
    heights = [places[a][1] for a, b in view.ways if b == key and a in places]
    return sum(heights) / max(len(heights), 1), repr(key)


def _drawn(panel: _Panel) -> list[str]:
    parts = [_text(MARGIN, 18, panel.heading, 12, SOFT)]
    for (start, goal), number in panel.view.ways.items():
        parts.append(_way(panel.places[start], panel.places[goal], number))
    parts += [_box(panel.places[key], group) for key, group in panel.view.groups.items()]
    return parts


def _way(start: tuple[float, float], goal: tuple[float, float], number: int) -> str:
    x1, y1, x2, y2 = start[0] + WIDTH, start[1] + HEIGHT / 2, goal[0], goal[1] + HEIGHT / 2
    if x2 < x1:  # an end in the same step: down from the box
        x1, y1, x2, y2 = start[0] + WIDTH / 2, start[1] + HEIGHT, goal[0] + WIDTH / 2, goal[1]
    bend = GAP_X / 2 if x2 > x1 else 0
    thick = 1 + min(number, 16) / 8
    return (
        f"<path d='M{x1:g} {y1:g} C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}' "
        f"fill='none' stroke='{SOFT}' stroke-opacity='0.5' stroke-width='{thick:g}'/>"
    )


def _box(place: tuple[float, float], group: Group) -> str:
    x, y = place
    colour = {"safe": SAFE, "open": DANGER}.get(group.key.end, INK)
    label = group.label if len(group.label) <= MAX_LABEL else group.label[: MAX_LABEL - 1] + "…"
    return (
        f"<g><title>{escape(group.title)}</title>"
        f"<rect x='{x:g}' y='{y:g}' width='{WIDTH}' height='{HEIGHT}' rx='6' fill='{PAPER}' "
        f"stroke='{colour}' stroke-width='1.4'/>"
        + _text(x + 8, y + 17, label, 13, colour, "font-weight='bold'")
        + _text(x + 8, y + 32, group.size, 9.5, SOFT)
        + "</g>"
    )


def _text(x: float, y: float, text: str, size: float, colour: str, more: str = "") -> str:
    return (
        f"<text x='{x:g}' y='{y:g}' font-size='{size:g}' fill='{colour}' {more}>"
        f"{escape(text)}</text>"
    )
