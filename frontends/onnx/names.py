"""What messages call things in a file."""

from __future__ import annotations

import onnx


def printable(text: str, limit: int = 100) -> str:
    """A name out of a file, fit for one line of a message."""
    clean = "".join(c if c.isprintable() else "?" for c in text[: limit + 1])
    return clean if len(text) <= limit else clean[:limit] + "..."


def place(node: onnx.NodeProto, index: int) -> str:
    """What messages call a node: its name or else its position, and its op type."""
    name = f"{printable(node.name)!r}" if node.name else str(index)
    return f"node {name} ({printable(node.op_type)})"
