"""Loading auto_LiRPA, of which releases old and new are supported.

Release 0.3, the last one in the registries, was written for PyTorch before 1.13. Three names that
have gone since are given back before it is imported, and one method takes what is asked of it now.
"""

from __future__ import annotations

import functools
import importlib.metadata
import inspect
import sys
import types
from typing import Any

import numpy as np
import torch

NAME = "auto_LiRPA"


@functools.cache
def library() -> Any:
    """The module auto_LiRPA. Raises ImportError where it is not installed."""
    version = importlib.metadata.version(NAME)
    if tuple(int(part) for part in version.split(".")[:2]) < (0, 4):
        _give_back()
    limit = sys.getrecursionlimit()
    module = importlib.import_module(NAME)
    sys.setrecursionlimit(limit)  # it raises the limit so far that deep nesting ends the process
    _take_all_arguments(module.BoundedModule)
    return module


def _give_back() -> None:
    """What release 0.3 looks for: numpy 1's ``arraysetops``, and two of torch's exporter."""
    if "numpy.lib.arraysetops" not in sys.modules:
        module = types.ModuleType("numpy.lib.arraysetops")
        module.isin = np.isin  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module
    symbolic: Any = importlib.import_module("torch.onnx.symbolic_helper")
    if not hasattr(symbolic, "_set_opset_version"):
        exporter = importlib.import_module("torch.onnx._internal.torchscript_exporter._globals")
        symbolic._set_opset_version = functools.partial(
            setattr, exporter.GLOBALS, "export_onnx_opset_version"
        )
    node: Any = torch._C.Node
    if not hasattr(node, "__getitem__"):
        node.__getitem__ = lambda self, key: symbolic._node_get(self, key)


def _take_all_arguments(bounded: Any) -> None:
    """PyTorch 2 asks modules for their members with one argument more."""
    members = bounded._named_members
    if "remove_duplicate" not in inspect.signature(members).parameters:
        bounded._named_members = lambda self, get, prefix="", recurse=True, **_: members(
            self, get, prefix, recurse
        )
