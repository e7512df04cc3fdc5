"""absint: a formal verifier for neural networks by abstract interpretation.

The package is laid out in four folders that lie side by side in the repository (``absint``,
``domains``, ``frontends``, ``proofs``), imported as ``absint``, ``absint.domains`` and so on.
Importing this module loads nothing else: the names of the public API are resolved on first use.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ != "absint":
    raise ImportError(f"absint was imported as {__name__!r}; put the folder above it on the path")

_HERE = Path(__file__).parent
if not (_HERE / "proofs").is_dir() and (_HERE.parent / "proofs").is_dir():
    __path__.append(str(_HERE.parent))  # a checkout: the sub-packages lie beside this folder

__version__ = "0.1.0"

_EXPORTS = {
    "Graph": "absint.ir",
    "Problem": "absint.problem",
    "check": "absint.api",
    "verify": "absint.api",
}

__all__ = ["Graph", "Problem", "__version__", "check", "verify"]

if TYPE_CHECKING:
    from absint.api import check, verify
    from absint.ir import Graph
    from absint.problem import Problem


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(importlib.import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'absint' has no attribute {name!r}")
