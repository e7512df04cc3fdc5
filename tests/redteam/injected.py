"""Bugs put into the search and the domains, one at a time, and what comes of false properties.

``python tests/redteam/injected.py NUMBER …`` runs the bugs of these numbers, each in a process of
its own, and prints what each one did. A bug is a small change of a module's syntax tree on a line
that the search of these properties runs through. The attack is taken away: it would find the
counterexamples, and a search that is wrong would never get to say so.
"""

from __future__ import annotations

import ast
import copy
import importlib.abc
import importlib.util
import json
import subprocess
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MODULES = {
    f"absint.{package}.{name}": folder / f"{name}.py"
    for package, folder, names in (
        ("domains", ROOT / "domains", "interval linear product refine relaxation influence"),
        ("search", ROOT / "absint" / "search", "bab branching mix query tree verdicts"),
    )
    for name in names.split()
}
SECONDS, TRACED = 1.0, 8.0
"""For each property; where every line is noted, too."""

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.Lt: ast.Gt,
    ast.Gt: ast.Lt,
    ast.LtE: ast.GtE,
    ast.GtE: ast.LtE,
}
NAMES = {
    "maximum": "minimum",
    "minimum": "maximum",
    "max": "min",
    "min": "max",
    "argmax": "argmin",
    "argmin": "argmax",
    "lower": "upper",
    "upper": "lower",
    "lower_slope": "upper_slope",
    "upper_slope": "lower_slope",
    "lower_offset": "upper_offset",
    "upper_offset": "lower_offset",
}


@dataclass(frozen=True)
class Bug:
    """The ``place``-th node of a module's syntax tree, changed in the ``way``-th way it can be."""

    module: str
    place: int
    way: int
    line: int
    what: str


def bugs() -> list[Bug]:
    """All of them, in the order of the sources."""
    return [bug for module in MODULES for bug in _of(module)]


def _of(module: str) -> Iterator[Bug]:
    tree = _tree(module)
    for place, node in enumerate(_nodes(tree)):
        for way, (what, _) in enumerate(_ways(node)):
            yield Bug(module, place, way, node.lineno, what)


def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


def _nodes(tree: ast.AST) -> list[ast.expr]:
    """Expressions inside functions."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    seen: dict[int, ast.expr] = {}
    for function in functions:
        for statement in function.body:
            for node in ast.walk(statement):
                if isinstance(node, ast.expr):
                    seen.setdefault(id(node), node)
    return list(seen.values())


def _ways(node: ast.expr) -> list[tuple[str, ast.expr]]:
    """What the expression may be changed to, with words for it."""
    found: list[tuple[str, ast.expr]] = []
    if isinstance(node, ast.BinOp):
        if type(node.op) in SWAPS:
            other: Any = SWAPS[type(node.op)]
            changed = ast.BinOp(node.left, other(), node.right)
            found.append((f"{type(node.op).__name__} is {other.__name__}", changed))
        if isinstance(node.op, ast.Add | ast.Sub):
            found.append(("the second term is dropped", node.left))
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in SWAPS:
        turned: Any = SWAPS[type(node.ops[0])]
        found.append(
            ("a comparison is turned", ast.Compare(node.left, [turned()], node.comparators))
        )
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        found.append(("a sign is lost", node.operand))
    if isinstance(node, ast.Attribute) and node.attr in NAMES:
        name = NAMES[node.attr]
        found.append((f"{node.attr} is {name}", ast.Attribute(node.value, name, node.ctx)))
    if isinstance(node, ast.Constant) and node.value in (0, 1) and type(node.value) is int:
        found.append((f"{node.value} is {1 - node.value}", ast.Constant(1 - node.value)))
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("abs", "detach"):
        found.append(("an absolute value is left out", node.args[0] if node.args else node))
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "where":
        condition, first, second = (*node.args, None, None)[:3]
        if first is not None and second is not None:
            args = [condition, second, first]
            found.append(("branches are swapped", ast.Call(node.func, args, [])))  # type: ignore[arg-type]
    return found


class _Changed(ast.NodeTransformer):
    def __init__(self, node: ast.expr, new: ast.expr) -> None:
        self.node, self.new = node, new

    def visit(self, node: ast.AST) -> Any:
        if node is self.node:
            return ast.copy_location(self.new, node)
        return self.generic_visit(node)


class Injector(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module with its bug, and everything else as it is."""

    def __init__(self, bug: Bug) -> None:
        self.bug = bug

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name == self.bug.module:
            return importlib.util.spec_from_loader(name, self)
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        tree = _tree(self.bug.module)
        node = _nodes(tree)[self.bug.place]
        new = copy.deepcopy(_ways(node)[self.bug.way][1])
        changed = ast.fix_missing_locations(_Changed(node, new).visit(tree))
        exec(compile(changed, str(MODULES[self.bug.module]), "exec"), module.__dict__)


def outcome(bug: Bug | None, seconds: float = SECONDS) -> list[dict[str, Any]]:
    """In this process, which must not have imported the search yet: each property's verdict,
    whether the checker accepts its certificate, and how many leaves it refused on the way."""
    if bug is not None:
        sys.meta_path.insert(0, Injector(bug))
    import absint.search.prove as driver
    from absint.proofs.check import check
    from absint.proofs.format import Certificate
    from absint.search.attack import Attack
    from absint.search.options import SearchOptions
    from absint.search.prove import Binding

    refused: list[int] = []

    def counted(*arguments: Any, **options: Any) -> Any:
        report = check(*arguments, **options)
        refused.append(len(report.rejected))
        return report

    driver.check = counted
    Attack.replay = lambda *arguments: None  # type: ignore[method-assign, assignment]
    found = []
    for graph, asked in properties():
        refused.clear()
        facts: dict[str, Any] = {"verdict": "crash", "accepted": False}
        try:
            binding = Binding("11" * 32, "22" * 32)
            options = SearchOptions(timeout=seconds)
            result = driver.prove(graph, asked, binding, lambda x: x, options)
            facts["verdict"] = result.verdict.value
            if result.certificate is not None:
                report = check(Certificate.from_bytes(result.certificate), graph, asked)
                facts["accepted"] = report.accepted
        except Exception as error:  # a bug may do anything
            facts["error"] = f"{type(error).__name__}: {error}"[:80]
        found.append(facts | {"refused": sum(refused)})
    return found


def properties() -> Iterator[tuple[Any, Any]]:
    """Networks with bounds that an exactly evaluated input breaks, each by little."""
    import numpy as np
    from searchcases import box, integer_network, least, problem

    from absint.ir import evaluate

    for seed in (3, 8):
        rng = np.random.default_rng(seed)
        graph = integer_network(rng, (2, 6, 6, 1))
        x = rng.integers(-8, 9, (4000, 2)) / 8.0  # short numbers: all values are exact
        top = float(evaluate(graph, x).max())
        yield graph, problem(graph, box((-1, 1), (-1, 1)), (least(0, top),))


def run(bug: Bug | None) -> list[dict[str, Any]]:
    """``outcome`` in a process of its own; nothing where that ends otherwise, or hangs."""
    given = [] if bug is None else [bug.module, str(bug.place), str(bug.way)]
    try:
        found: list[dict[str, Any]] = json.loads(_output("--one", *given))
    except (subprocess.SubprocessError, json.JSONDecodeError):
        return []
    return found


def reached() -> list[Bug]:
    """The bugs on lines that a search without one runs through."""
    lines = {tuple(line) for line in json.loads(_output("--lines"))}
    return [bug for bug in bugs() if (bug.module, bug.line) in lines]


def _output(*arguments: str) -> str:
    """The last line that this file prints when it is run."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout.splitlines()[-1]


def executed() -> set[tuple[str, int]]:
    """The lines, by module, that a search without a bug runs through; in this process."""
    lines: set[tuple[str, int]] = set()
    names = {str(path): module for module, path in MODULES.items()}

    def trace(frame: types.FrameType, event: str, argument: Any) -> Any:
        module = names.get(str(Path(frame.f_code.co_filename).resolve()))
        if module is None:
            return None
        lines.add((module, frame.f_lineno))
        return trace

    import threading

    threading.settrace(trace)
    sys.settrace(trace)
    outcome(None, TRACED)
    sys.settrace(None)
    return lines


def main(arguments: list[str]) -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    if arguments[:1] == ["--one"]:
        bug = None
        if len(arguments) > 1:
            bug = Bug(arguments[1], int(arguments[2]), int(arguments[3]), 0, "")
        print(json.dumps(outcome(bug)))
    elif arguments == ["--lines"]:
        print(json.dumps(sorted(executed())))
    else:
        every = bugs()
        for bug in (every[int(number)] for number in arguments):
            print(f"{bug.module}:{bug.line}: {bug.what}: {run(bug)}")


if __name__ == "__main__":
    main(sys.argv[1:])
