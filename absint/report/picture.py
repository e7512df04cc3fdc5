"""A picture of a graph as SVG: one row a depth, data flowing downwards."""

from __future__ import annotations

from html import escape

from absint.ir import Graph, Node

MAGIC = b'<svg xmlns="http://www.w3.org/2000/svg" class="absint-graph"'
"""How such a picture starts."""

WIDTH, HEIGHT, GAP, ROW, MARGIN = 150, 34, 20, 70, 20
"""Of a box, between boxes, from row to row, and around all; pixels."""
COLOURS = {"input": "#d9ead3", "output": "#fce5cd"}
PLAIN = "#eef2f7"


def svg(graph: Graph) -> bytes:
    """The graph's nodes as boxes (op, shape, name) with an arrow for each operand."""
    rows = _rows(graph)
    widest = max(len(row) for row in rows)
    width = 2 * MARGIN + widest * (WIDTH + GAP) - GAP
    height = 2 * MARGIN + (len(rows) - 1) * ROW + HEIGHT
    places = _places(rows, widest)
    arrows = [
        _arrow(places[operand], places[place])
        for place, node in enumerate(graph.nodes)
        for operand in node.inputs
    ]
    boxes = [_box(graph, place, places[place]) for place in range(len(graph.nodes))]
    head = (
        f'{MAGIC.decode()} width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11" text-anchor="middle">\n'
        '<defs><marker id="head" viewBox="0 0 6 6" refX="6" refY="3" markerWidth="6" '
        'markerHeight="6" orient="auto"><path d="M0,0 L6,3 L0,6 z"/></marker></defs>\n'
    )
    return (head + "".join(line + "\n" for line in (*arrows, *boxes)) + "</svg>\n").encode()


def _rows(graph: Graph) -> list[list[int]]:
    """The nodes of each depth, those with the same operands beside each other."""
    depth: list[int] = []
    for node in graph.nodes:
        depth.append(1 + max((depth[i] for i in node.inputs), default=-1))
    rows: list[list[int]] = [[] for _ in range(max(depth) + 1)]
    order = [0.0] * len(graph.nodes)
    for level, row in enumerate(rows):
        row += [place for place, d in enumerate(depth) if d == level]
        row.sort(key=lambda place: (_centre(graph.nodes[place], order), place))
        for index, place in enumerate(row):
            order[place] = (index + 0.5) / len(row)
    return rows


def _centre(node: Node, order: list[float]) -> float:
    return sum(order[i] for i in node.inputs) / max(1, len(node.inputs))


def _places(rows: list[list[int]], widest: int) -> dict[int, tuple[float, float]]:
    """The middle of each node's upper edge."""
    whole = widest * (WIDTH + GAP)
    return {
        place: (MARGIN - GAP / 2 + whole * (index + 0.5) / len(row), MARGIN + ROW * level)
        for level, row in enumerate(rows)
        for index, place in enumerate(row)
    }


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x, y), (u, v) = start, end
    y, bend = y + HEIGHT, (ROW - HEIGHT) / 2
    path = f"M{x:g},{y:g} C{x:g},{y + bend:g} {u:g},{v - bend:g} {u:g},{v:g}"
    return f'<path d="{path}" fill="none" stroke="#555" marker-end="url(#head)"/>'


def _box(graph: Graph, place: int, at: tuple[float, float]) -> str:
    node, (x, y) = graph.nodes[place], at
    ports = [port.name for port in graph.inputs + graph.outputs if port.node == place]
    outside = {port.node for port in graph.outputs}
    colour = COLOURS.get("output" if place in outside else node.op, PLAIN)
    detail = "x".join(map(str, node.shape)) or "scalar"
    text = f"%{place} {node.op}" + (f" ({', '.join(ports)})" if ports else "")
    return (
        f'<g><title>{_shown(node.name or text)}</title><rect x="{x - WIDTH / 2:g}" y="{y:g}" '
        f'width="{WIDTH}" height="{HEIGHT}" rx="4" fill="{colour}" stroke="#555"/>'
        f'<text x="{x:g}" y="{y + 14:g}">{_shown(text[:26])}</text>'
        f'<text x="{x:g}" y="{y + 28:g}" fill="#555">{detail}</text></g>'
    )


def _shown(text: str) -> str:
    """Text that XML may hold."""
    return escape("".join(c if c.isprintable() else "?" for c in text))
