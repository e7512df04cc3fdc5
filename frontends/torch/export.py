"""From a module to the functional form that the lowering reads."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from absint.problem.errors import InputError, Unsupported, UnsupportedError

_DATA_DEPENDENT = (
    "the module branches or loops on values that depend on its input; take a fixed number of steps,"
    " or write the choice with torch.where"
)


def export(module: Any, arguments: Sequence[Any]) -> Any:
    """``module`` as a ``torch.export.ExportedProgram`` in which composite ops stay whole.

    Raises:
        UnsupportedError: the module's control flow depends on data.
        InputError: the module cannot be exported for another reason.
    """
    import torch

    try:
        with evaluated(module), _quiet():
            return functional(torch.export.export(module, tuple(arguments)))
    except Exception as error:  # torch.export raises what the module's code raises, too
        if type(error).__name__ == "GuardOnDataDependentSymNode":
            found = [Unsupported(_place(error), "control flow on data", _DATA_DEPENDENT)]
            raise UnsupportedError(found) from error
        raise InputError(f"PyTorch cannot export the module: {_line(error)}") from error


@contextlib.contextmanager
def evaluated(module: Any) -> Iterator[None]:
    """``module`` in eval mode and without gradients, for a while."""
    import torch

    before = [part for part in module.modules() if part.training]
    for part in before:
        part.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        for part in before:
            part.training = True


def functional(program: Any) -> Any:
    """``program`` without in-place ops and views of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return program.run_decompositions({})


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch prints graphs and warnings where an export fails; the error says what counts."""
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch.fx", "torch._dynamo")]
    before = [logger.level for logger in loggers]
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)


_CODE = re.compile(r'File "?([^"\n]+?)"?(?:, line |:)(\d+),? in (\w+)')


def _place(error: Exception) -> str:
    """The line of the user's code that PyTorch names, if it names one."""
    found = [match for match in _CODE.findall(str(error)) if "site-packages" not in match[0]]
    if not found:
        return "module"
    path, line, function = found[-1]
    return f"{path.rpartition('/')[2]}:{line} in {function}"


def _line(error: Exception) -> str:
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text.strip()[:300]}"
