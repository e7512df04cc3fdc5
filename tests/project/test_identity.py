"""A module of the package has one name, whatever folder Python is started in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=folder
    )


@pytest.mark.parametrize("folder", ["domains", "frontends", "proofs"])
@pytest.mark.parametrize("statement", ["import {0}", "from {0} import *", "import absint, {0}"])
def test_a_folder_is_not_a_package_of_its_own(folder: str, statement: str) -> None:
    result = run(statement.format(folder), ROOT)
    assert result.returncode != 0
    assert f"ImportError: import this package as absint.{folder}" in result.stderr


def test_the_package_is_not_found_inside_itself() -> None:
    result = run("import absint.absint", ROOT)
    assert result.returncode != 0
    assert "ImportError: absint was imported as 'absint.absint'" in result.stderr


@pytest.mark.parametrize("folder", [ROOT, Path("/")])
def test_every_part_is_found_under_its_name(folder: Path) -> None:
    names = ["absint", "absint.domains", "absint.frontends", "absint.proofs"]
    code = f"import {', '.join(names)}\nfor m in ({', '.join(names)}): print(m.__file__)"
    result = run(code, folder)
    assert result.returncode == 0, result.stderr
    found = [Path(line).resolve() for line in result.stdout.split()]
    assert found == [ROOT / name.split(".")[-1] / "__init__.py" for name in names]
