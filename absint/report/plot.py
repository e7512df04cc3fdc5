"""The picture of a slice: leaves coloured by verdict, and the borders of the decision."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from absint.problem import InputError
from absint.report.landscape import Landscape
from absint.report.slice import Kind, Slice
from absint.report.units import Units

FloatArray = NDArray[np.float64]

INK, SOFT, PAPER, DANGER = "#1f2933", "#66727f", "#ffffff", "#c2362f"
COLOURS = {
    Kind.SAFE: "#2f8f6b",
    Kind.MIXED: "#2a7f9e",
    Kind.PHASED: "#5b6fb5",
    Kind.EMPTY: "#aab3bd",
    Kind.OPEN: "#f0a92b",
    Kind.REJECTED: "#8e44ad",
}
LIGHTEST = 0.55
"""How far towards white the largest leaf's colour goes; the smallest has the full colour."""
MAX_FIXED = 10
RASTERISE = 20_000
"""More leaves than this are drawn as pixels, also in an SVG file."""
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "hatch.linewidth": 0.7,
    "svg.hashsalt": "absint",
}


@dataclass(frozen=True)
class Picture:
    """What is drawn. ``counterexample`` (input_size,) is in the network's units."""

    view: Slice
    landscape: Landscape | None
    units: Units
    title: str
    subtitle: str
    counterexample: FloatArray | None = None

    def scaled(self, axis: int, values: FloatArray) -> FloatArray:
        """Values on axis 0 (x) or 1 (y) in the spec's units."""
        if not self.units.mean:
            return values
        dimension = self.view.axes[axis]
        mean, std = float(self.units.mean[dimension]), float(self.units.std[dimension])
        return values * std + mean


def draw(picture: Picture, kind: str) -> bytes:
    """The picture as ``svg`` or ``png``; the same picture gives the same bytes.

    Raises InputError where matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("plots need matplotlib: pip install 'absint[plot]'") from error
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 6.2), facecolor=PAPER)
        axes = figure.add_axes((0.095, 0.105, 0.605, 0.75))
        _leaves(axes, picture)
        if picture.landscape is not None:
            _decision(axes, picture, picture.landscape)
        if picture.counterexample is not None:
            _counterexample(axes, picture, picture.counterexample)
        _frame(axes, picture)
        _side(figure, picture)
        stream = io.BytesIO()
        metadata = {"Date": None, "Creator": "absint"} if kind == "svg" else {"Software": "absint"}
        figure.savefig(stream, format=kind, dpi=160, metadata=metadata)
    return stream.getvalue()


def _leaves(axes: Any, picture: Picture) -> None:
    """The leaves' rectangles, the smaller the deeper in colour."""
    from matplotlib.collections import PolyCollection
    from matplotlib.patches import Rectangle

    tiles = picture.view.tiles
    x = picture.scaled(0, np.array([tile.x for tile in tiles]))
    y = picture.scaled(1, np.array([tile.y for tile in tiles]))
    area = (x[:, 1] - x[:, 0]) * (y[:, 1] - y[:, 0])
    rectangles = PolyCollection(
        list(np.stack([x[:, [0, 1, 1, 0]], y[:, [0, 0, 1, 1]]], axis=2)),
        facecolors=_shades([tile.kind for tile in tiles], area),
        edgecolors=PAPER,
        linewidths=_widths(x, y),
        rasterized=len(tiles) > RASTERISE,
        zorder=1,
    )
    axes.add_collection(rectangles)
    for box in picture.view.boxes:
        (left, right), (bottom, top) = (
            picture.scaled(axis, np.array([box[0][d], box[1][d]]))
            for axis, d in enumerate(picture.view.axes)
        )
        frame = Rectangle((left, bottom), right - left, top - bottom)
        frame.set(fill=False, edgecolor=INK, linewidth=1.4, zorder=2.5)
        axes.add_patch(frame)


def _shades(kinds: list[Kind], area: FloatArray) -> FloatArray:
    """A colour for each leaf, (leaves, 3): sizes that occur are ranked, so each step shows."""
    from matplotlib.colors import to_rgb

    sizes, rank = np.unique(np.round(np.log2(np.maximum(area, 1e-300)), 1), return_inverse=True)
    light = LIGHTEST * (rank / (len(sizes) - 1))[:, None] if len(sizes) > 1 else LIGHTEST / 2
    base = np.array([to_rgb(COLOURS[kind]) for kind in kinds])
    shades: FloatArray = base + (1 - base) * light
    return shades


def _widths(x: FloatArray, y: FloatArray) -> FloatArray:
    """Line widths that leave something of the smallest leaves."""
    shares = [(v[:, 1] - v[:, 0]) / max(v.max() - v.min(), 1e-300) for v in (x, y)]
    widths: FloatArray = np.clip(25 * np.min(shares, axis=0), 0.06, 1.1)
    return widths


def _decision(axes: Any, picture: Picture, landscape: Landscape) -> None:
    """Where the network's outputs are catastrophic, and the borders between its decisions."""
    x, y = picture.scaled(0, landscape.x), picture.scaled(1, landscape.y)
    if landscape.margin.min() <= 0:
        axes.contourf(x, y, landscape.margin, [-np.inf, 0], colors=[DANGER], alpha=0.18, zorder=0.5)
        axes.contourf(
            x, y, landscape.margin, [-np.inf, 0], colors="none", hatches=["////"], zorder=0.6
        ).set(edgecolor=DANGER, linewidth=0)
        axes.contour(x, y, landscape.margin, [0], colors=[DANGER], linewidths=1.1, zorder=3)
    for lead in landscape.leads():
        axes.contour(x, y, lead, [0], colors=[INK], linewidths=0.8, alpha=0.75, zorder=2)
    for index, (row, column) in landscape.places().items():
        axes.text(
            x[column],
            y[row],
            picture.units.outputs[index],
            ha="center",
            va="center",
            fontsize=8.5,
            color=INK,
            bbox={"boxstyle": "round,pad=0.25", "fc": PAPER, "ec": "none", "alpha": 0.78},
            zorder=4,
        )


def _counterexample(axes: Any, picture: Picture, point: FloatArray) -> None:
    x, y = picture.scaled(0, point[[picture.view.x]]), picture.scaled(1, point[[picture.view.y]])
    axes.scatter(x, y, s=210, marker="o", facecolor=PAPER, edgecolor=DANGER, lw=1.6, zorder=5)
    axes.scatter(x, y, s=75, marker="x", color=DANGER, lw=2.4, zorder=6)


def _frame(axes: Any, picture: Picture) -> None:
    view, names = picture.view, picture.units.inputs
    for axis, limits in enumerate((axes.set_xlim, axes.set_ylim)):
        limits(*picture.scaled(axis, np.array(extent(view, axis, picture.counterexample))))
    axes.set_xlabel(names[view.x], fontsize=11, labelpad=6)
    axes.set_ylabel(names[view.y], fontsize=11, labelpad=6)
    axes.tick_params(length=3, width=0.8, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.set_title(picture.title, loc="left", fontsize=14, fontweight="bold", pad=27)
    axes.text(0, 1.025, picture.subtitle, transform=axes.transAxes, fontsize=9.5, color=SOFT)


def extent(view: Slice, axis: int, point: FloatArray | None) -> tuple[float, float]:
    """What an axis shows: the region and the point to be marked, with a margin around them."""
    low, high = view.span(axis)
    if point is not None:
        value = float(point[view.axes[axis]])
        low, high = min(low, value), max(high, value)
    margin = (0.05 if point is None else 0.09) * (high - low)
    return low - margin, high + margin


def _side(figure: Any, picture: Picture) -> None:
    """The legends, and the values that do not vary in the slice."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    counts, landscape = picture.view.counts(), picture.landscape
    entries: list[Any] = [
        Patch(facecolor=COLOURS[kind], label=f"{kind.value} ({number})")
        for kind, number in counts.items()
    ]
    if landscape is not None and landscape.margin.min() <= 0:
        entries.append(
            Patch(facecolor="#f3d9d7", edgecolor=DANGER, hatch="////", label="catastrophe *")
        )
    if landscape is not None and landscape.leads():
        entries.append(Line2D([], [], color=INK, lw=0.9, label="border of a decision *"))
    if picture.counterexample is not None:
        mark: Any = {"marker": "X", "ls": "none", "ms": 9, "mfc": DANGER, "mec": PAPER}
        entries.append(Line2D([], [], label="counterexample", **mark))
    figure.legend(
        handles=entries,
        loc="upper left",
        bbox_to_anchor=(0.715, 0.865),
        frameon=False,
        fontsize=9,
        title="leaves in this slice",
        title_fontproperties={"weight": "bold", "size": 9.5},
        alignment="left",
        labelspacing=0.65,
    )
    lines = [*fixed_lines(picture), *_note(landscape)]
    figure.text(
        0.728, 0.105, "\n".join(lines), fontsize=9, color=SOFT, va="bottom", linespacing=1.6
    )


def _note(landscape: Landscape | None) -> list[str]:
    if landscape is None or not (landscape.leads() or landscape.margin.min() <= 0):
        return []
    return ["", "* evaluated point by point,", "  not part of the proof"]


def fixed_lines(picture: Picture) -> list[str]:
    """``name = value`` for what stays fixed in the slice."""
    view, units = picture.view, picture.units
    raw = units.raw(view.point)
    rest = [d for d in range(len(view.point)) if d not in (view.x, view.y)]
    lines = [f"{units.inputs[d]} = {raw[d]:.6g}" for d in rest[:MAX_FIXED]]
    more = len(rest) - len(lines)
    return ["fixed:", *lines, *([f"and {more} more"] if more else [])] if rest else []
