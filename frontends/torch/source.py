"""Where a module comes from: an object, a factory that is imported, or a saved program.

All three execute code: a module's own on export, and a factory's or a file's when it is loaded.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from absint.frontends.torch.export import export, functional
from absint.problem.errors import AbsintError, InputError

SUFFIX = ".pt2"
_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


@dataclass(frozen=True, eq=False)
class Source:
    """A module that PyTorch can run, and its exported program."""

    name: str
    module: Any
    program: Any


def is_reference(text: str) -> bool:
    """Whether ``text`` has the form ``package.module:factory`` and names no file."""
    return _REFERENCE.fullmatch(text) is not None and not Path(text).exists()


def is_torch(text: str) -> bool:
    """Whether ``text`` names what this front-end loads."""
    return text.endswith(SUFFIX) or is_reference(text)


def from_module(module: Any, args: Sequence[Any] | None = None) -> Source:
    """``module`` exported for inputs like ``args``, or like its ``example_inputs``."""
    name = type(module).__name__
    return Source(name, module, export(module, _examples(module, args, name)))


def from_place(text: str) -> Source:
    """``package.module:factory`` or a ``.pt2`` file. Raises InputError."""
    return _saved(Path(text)) if text.endswith(SUFFIX) else _made(text)


def _made(reference: str) -> Source:
    """What the factory returns: a module, or (module, example_inputs)."""
    import torch

    made = _guarded(reference, _factory(reference))
    module, args = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(module, torch.nn.Module):
        raise InputError(
            f"returned {type(made).__name__}, not a module or (module, example_inputs)", reference
        )
    return Source(reference, module, export(module, _examples(module, args, reference)))


def _factory(reference: str) -> Callable[[], Any]:
    """Imports it; the folder that the command runs in counts as a place of modules."""
    package, _, name = reference.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    module = _guarded(reference, lambda: importlib.import_module(package))
    found = getattr(module, name, None)
    if not callable(found):
        raise InputError(f"module {package} has no function {name!r}", reference)
    factory: Callable[[], Any] = found
    return factory


def _guarded(reference: str, code: Callable[[], Any]) -> Any:
    """Runs other people's code; whatever it raises is an InputError."""
    try:
        return code()
    except AbsintError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        raise InputError(f"{type(error).__name__}: {text}", reference) from error


def _saved(path: Path) -> Source:
    """A program that ``torch.export.save`` wrote."""
    import torch

    if not path.is_file():
        raise InputError("there is no such file", str(path))
    if not zipfile.is_zipfile(path):
        raise InputError("is not a program that torch.export.save wrote", str(path))
    program = _guarded(str(path), lambda: torch.export.load(path))
    return Source(str(path), program.module(), _guarded(str(path), lambda: functional(program)))


def _examples(module: Any, args: Sequence[Any] | None, name: str) -> tuple[Any, ...]:
    """Inputs to export with: given, the module's ``example_inputs``, or zeros for a first Linear.

    Raises InputError.
    """
    import torch

    found = getattr(module, "example_inputs", None) if args is None else args
    if isinstance(found, torch.Tensor):
        return (found,)
    if found is not None:
        return tuple(found)
    first = next((part for part in module.modules() if not list(part.children())), None)
    if isinstance(first, torch.nn.Linear):
        return (torch.zeros(1, first.in_features, dtype=first.weight.dtype),)
    raise InputError(
        "example inputs are missing: return (module, example_inputs); for 8 tokens these are "
        "torch.zeros(1, 8, dtype=torch.int64)",
        name,
    )
