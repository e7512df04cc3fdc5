"""What users install: the wheel, built here and run from an environment that has no checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import absint

ROOT = Path(__file__).parents[2]
FOLDERS = {
    "absint": "absint",
    "domains": "absint/domains",
    "frontends": "absint/frontends",
    "proofs": "absint/proofs",
}
"""Where each folder of the checkout lies in the wheel."""


def run(*command: str | Path, cwd: Path) -> str:
    """Without PYTHONPATH, which would lead to a checkout."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=cwd, env=clean
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no stale ``build/`` of the checkout gets into it."""
    source = tmp_path_factory.mktemp("source")
    for folder in FOLDERS:
        shutil.copytree(
            ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", cwd=source)
    (built,) = (source / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel alone, which borrows this one's dependencies.

    The borrowed folder is a plain entry of the path: the editable install in it is not followed.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    run(
        *(sys.executable, "-m", "pip", "--python", str(python)),
        *("install", "--quiet", "--no-deps", "--no-index", str(wheel)),
        cwd=folder,
    )
    site = run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=folder).strip()
    Path(site, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_the_wheel_holds_every_source_and_data_file(wheel: Path) -> None:
    expected = set()
    for folder, place in FOLDERS.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                expected.add(f"{place}/{path.relative_to(ROOT / folder).as_posix()}")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected


def test_the_wheel_carries_licence_and_version(wheel: Path) -> None:
    assert wheel.name == f"absint-{absint.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        licences = [name for name in archive.namelist() if name.endswith("LICENSE")]
        assert [archive.read(name) for name in licences] == [(ROOT / "LICENSE").read_bytes()]


def test_every_part_is_imported_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    names = ["absint", "absint.proofs", "absint.domains", "absint.frontends"]
    code = f"import {', '.join(names)}\nfor m in ({', '.join(names)}): print(m.__file__)"
    output = run(environment / "bin" / "python", "-c", code, cwd=tmp_path)
    places = [Path(line).resolve() for line in output.split()]
    assert len(places) == len(names)
    assert all(place.is_relative_to(environment.resolve()) for place in places)


def test_the_command_runs_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    script = run(environment / "bin" / "absint", "--help", cwd=tmp_path)
    module = run(environment / "bin" / "python", "-m", "absint", "--help", cwd=tmp_path)
    for output in (script, module):
        assert "verify" in output
        assert "check" in output
