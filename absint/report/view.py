"""What ``absint inspect`` was asked for of a lowered graph: its text, its bytes, its picture."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from absint.ir import Graph, to_bytes
from absint.ir.serialize import MAGIC
from absint.ir.text import render
from absint.report import files, picture


@dataclass(frozen=True)
class View:
    """``ir``: print the text form, with all ``constants`` or with summaries of them.

    ``graph`` and ``picture`` are the files to be written.
    """

    style: str
    ir: bool = False
    constants: bool = False
    graph: Path | None = None
    picture: Path | None = None

    def text(self, graph: Graph) -> str | None:
        """The text form, where it was asked for."""
        return render(graph, self.constants) if self.ir else None

    def suffixed(self, suffix: str) -> View:
        """The same with ``suffix`` appended to the files' stems."""

        def renamed(path: Path | None) -> Path | None:
            return path and path.with_name(f"{path.stem}{suffix}{path.suffix}")

        return dataclasses.replace(self, graph=renamed(self.graph), picture=renamed(self.picture))

    def require_writable(self) -> None:
        """Raises InputError unless the files can be written."""
        if self.graph is not None:
            files.require_writable(self.graph, [MAGIC])
        if self.picture is not None:
            files.require_writable(self.picture, [picture.MAGIC])
        files.require_distinct(path for path in (self.graph, self.picture) if path is not None)

    def write(self, graph: Graph) -> None:
        """Writes the files. Raises InputError."""
        if self.graph is not None:
            files.write(self.graph, to_bytes(graph))
        if self.picture is not None:
            files.write(self.picture, picture.svg(graph))
