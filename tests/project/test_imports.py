"""Who may import what: the table of the design, read from the sources and from a running Python."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "absint": ROOT / "absint",
    "absint.domains": ROOT / "domains",
    "absint.frontends": ROOT / "frontends",
    "absint.proofs": ROOT / "proofs",
}
CORE = frozenset({"absint.ir", "absint.problem"})
LOWERING = CORE | {"absint.frontends.lowering"}
ANY = frozenset({"*"})


@dataclass(frozen=True)
class Rule:
    """What a part may import: parts of absint, libraries, and libraries inside functions only."""

    parts: frozenset[str] = frozenset()
    eager: frozenset[str] = frozenset()
    lazy: frozenset[str] = frozenset()


def rule(parts: frozenset[str], eager: str = "", lazy: str = "") -> Rule:
    return Rule(parts, frozenset(eager.split()), frozenset(lazy.split()))


RULES = {
    "absint": Rule(ANY, frozenset(), ANY),
    "absint.api": Rule(ANY, ANY),
    "absint.cli": Rule(ANY, ANY),
    "absint.decode": Rule(ANY, ANY),
    "absint.domains": rule(CORE, "numpy array_api_compat", "torch"),
    "absint.domains.lirpa": rule(CORE | {"absint.domains"}, "numpy torch auto_LiRPA"),
    "absint.executors": Rule(ANY, ANY),
    "absint.domains.smt": rule(CORE | {"absint.domains"}, "numpy z3"),
    "absint.frontends": rule(
        LOWERING | {"absint.frontends.onnx", "absint.frontends.torch"},
        "numpy onnx google yaml jsonschema",
        "onnxruntime tokenizers torch",
    ),
    "absint.frontends.lowering": rule(CORE, "numpy", "flint"),
    "absint.frontends.onnx": rule(LOWERING, "numpy onnx google"),
    "absint.frontends.torch": rule(LOWERING | {"absint.frontends.torch.bridge"}, "numpy", "torch"),
    "absint.frontends.torch.bridge": rule(
        LOWERING | {"absint.frontends.onnx", "absint.frontends.torch"}, "numpy onnx"
    ),
    "absint.ir": rule(frozenset(), "numpy", "networkx"),
    "absint.problem": rule(frozenset(), "numpy"),
    "absint.proofs": rule(CORE, "numpy flint"),
    "absint.proofs.lemmas": rule(CORE, "z3"),
    "absint.report": Rule(ANY, ANY),
    "absint.search": Rule(ANY, ANY),
    "absint.train": rule(CORE | {"absint.domains"}, "numpy torch"),
}
"""A part may always import itself and the standard library. The most specific row counts."""

LIBRARIES = {
    "onnxscript",
    "highspy",
    "matplotlib",
    "psutil",
    "rich",
    "scipy",
    "sympy",
    "click",
}.union(*(r.eager | r.lazy for r in RULES.values())) - {"*"}
"""The libraries that a running Python is asked about; what these load in turn is their own."""


def modules() -> dict[str, Path]:
    """The dotted name of every module of the package, with its file."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join((package, *(p for p in parts if p != "__init__")))] = path
    return found


MODULES = modules()
PARTS = sorted({name for name in RULES if name in MODULES})


def part_of(module: str) -> str:
    """The row of RULES that speaks of a module: its longest prefix."""
    fits = [p for p in RULES if module == p or module.startswith(p + ".")]
    part = max(fits, key=len)
    if part == "absint" and module not in ("absint", "absint.__main__"):
        raise KeyError(f"no rule for {module}: add its part to RULES")
    return part


def imports(tree: ast.AST, lazy: bool = False) -> Iterator[tuple[str, bool, int]]:
    """(imported name, whether inside a function, line), without what only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, lazy, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((f"{module}.{alias.name}", lazy, node.lineno) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, lazy or inside)


def violations(module: str, source: str) -> list[str]:
    """The imports in ``source`` that the module's part may not have."""
    part = part_of(module)
    allowed = RULES[part]
    bad = []
    for name, lazy, line in imports(ast.parse(source)):
        top = name.split(".")[0]
        if top == "absint":
            fine = name == "absint.__version__" or (
                name != "absint" and may_use(part, part_of_name(name))
            )
        else:
            libraries = allowed.eager | (allowed.lazy if lazy else frozenset())
            fine = top in sys.stdlib_module_names or top in libraries or "*" in libraries
        if not fine:
            bad.append(f"{module}:{line}: {name}")
    return bad


def may_use(part: str, other: str) -> bool:
    return other == part or other in RULES[part].parts or "*" in RULES[part].parts


def reached(part: str) -> set[str]:
    """The parts that loading ``part`` may load: itself, what it may use, what these may use."""
    found: set[str] = set()
    todo = {part}
    while todo:
        found |= todo
        todo = {p for name in todo for p in RULES[name].parts & RULES.keys()} - found
    return found


def part_of_name(name: str) -> str:
    """The part that ``from module import name`` loads, where name may be a module or not."""
    return part_of(name if name in MODULES else name.rpartition(".")[0])


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_what_its_part_may(module: str) -> None:
    assert violations(module, MODULES[module].read_text()) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("absint.proofs.x", "import torch"),
        ("absint.proofs.x", "def f():\n    import onnx"),
        ("absint.proofs.x", "from absint.domains.linear import Linear"),
        ("absint.proofs.x", "from absint import domains"),
        ("absint.proofs.x", "from absint.proofs.lemmas import prove"),
        ("absint.proofs.x", "import absint"),
        ("absint.proofs.x", "if True:\n    from z3 import Real"),
        ("absint.proofs.x", "from .. import search"),
        ("absint.domains.x", "import torch"),
        ("absint.domains.x", "from absint.proofs.arithmetic import up"),
        ("absint.frontends.x", "from absint.search import search"),
        ("absint.frontends.lowering.x", "import onnx"),
        ("absint.frontends.torch.x", "from absint.frontends.onnx import load"),
        ("absint.frontends.onnx.x", "def f():\n    import torch"),
        ("absint.ir.x", "from absint.problem import Problem"),
        ("absint.ir.x", "import networkx"),
        ("absint.problem.x", "try:\n    import flint\nexcept ImportError:\n    pass"),
    ],
)
def test_a_forbidden_import_is_seen(module: str, source: str) -> None:
    assert len(violations(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("absint.proofs.x", "import numpy as np\nimport flint\nfrom absint.ir import Graph"),
        ("absint.domains.x", "def f():\n    import torch"),
        ("absint.ir.x", "def f():\n    import networkx"),
        ("absint.search.x", "import torch\nfrom absint.proofs import check"),
        ("absint.proofs.x", "if TYPE_CHECKING:\n    import torch"),
    ],
)
def test_an_allowed_import_is_not_reported(module: str, source: str) -> None:
    assert violations(module, source) == []


def loaded(names: list[str]) -> set[str]:
    """The modules in memory after a fresh interpreter has imported ``names``."""
    code = (
        "import importlib, json, sys\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(json.dumps(list(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/"
    )
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout))


@pytest.mark.parametrize("part", [p for p in PARTS if "*" not in RULES[p].eager])
def test_a_part_loads_only_what_it_may(part: str) -> None:
    members = [m for m in MODULES if part_of(m) == part and not m.endswith("__main__")]
    memory = loaded(members)
    libraries = LIBRARIES & {name.split(".")[0] for name in memory}
    ours = {part_of(name) for name in memory if name in MODULES and name != "absint"}
    allowed = reached(part)
    assert libraries <= {library for p in allowed for library in RULES[p].eager}
    packages = {p for p in PARTS for name in allowed if name.startswith(p + ".")}
    assert ours <= allowed | packages


def test_the_package_alone_loads_nothing() -> None:
    memory = loaded(["absint"])
    assert LIBRARIES & {name.split(".")[0] for name in memory} == set()
    assert {name for name in memory if name.startswith("absint.")} == set()


def test_the_command_line_starts_light() -> None:
    heavy = {"torch", "onnx", "onnxruntime", "z3", "matplotlib", "networkx", "scipy", "sympy"}
    assert heavy & {name.split(".")[0] for name in loaded(["absint.cli"])} == set()
