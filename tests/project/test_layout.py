"""Facts about the project that its files state in several places, and its limits on size."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import absint

ROOT = Path(__file__).parents[2]
BUDGETS = {"exact": 600, "rules": 2_350, "decoding": 1_975, "transformers": 3_475}
"""Lines of the checker: docs/decisions/0008-size-of-the-checker.md."""


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_version_is_stated_once_and_the_same(pyproject: dict[str, Any]) -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    stated = {
        pyproject["project"]["version"],
        str(citation["version"]),
        importlib.metadata.version("absint"),
    }
    assert stated == {absint.__version__}


def test_the_licence_is_apache_2(pyproject: dict[str, Any]) -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["license"] == pyproject["project"]["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text()


def test_every_folder_with_python_files_is_a_package(pyproject: dict[str, Any]) -> None:
    setuptools = pyproject["tool"]["setuptools"]
    found = set()
    for package, folder in setuptools["package-dir"].items():
        for path in (ROOT / folder).rglob("*.py"):
            found.add(".".join((package, *path.parent.relative_to(ROOT / folder).parts)))
    assert found == set(setuptools["packages"])


def test_the_public_api_is_pinned() -> None:
    assert absint.__all__ == ["Graph", "Problem", "__version__", "check", "verify"]
    for name in absint.__all__:
        assert getattr(absint, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = absint.nothing


def test_the_checker_keeps_its_budget_of_lines() -> None:
    """What has to be read to believe a certificate stays small enough to read."""
    parts = {"transformers": "transformers", "decode": "decoding", "tokens.py": "decoding"}
    parts |= {"conditional.py": "decoding", "reads.py": "decoding", "exact": "exact"}
    lines = dict.fromkeys(BUDGETS, 0)
    for path in (ROOT / "proofs").rglob("*.py"):
        place = path.relative_to(ROOT / "proofs").parts[0]
        if place != "lemmas":
            lines[parts.get(place, "rules")] += len(path.read_text().splitlines())
    for part, budget in BUDGETS.items():
        assert 0 < lines[part] <= budget, part


def test_the_pinned_environment_brings_no_cuda_build() -> None:
    lines = (ROOT / "constraints.txt").read_text().lower().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert "torch==2.13.0" in pins
    assert not [pin for pin in pins if any(word in pin for word in ("nvidia", "cuda", "triton"))]
    assert all("==" in pin and "/" not in pin for pin in pins)
