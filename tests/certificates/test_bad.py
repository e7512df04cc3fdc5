"""Every certificate in ``bad/`` is rejected with its reason, and the folder only grows."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from absint.ir import from_bytes, to_bytes
from absint.proofs.__main__ import ACCEPTED, INCOMPLETE, REJECTED, main
from absint.proofs.check import check
from absint.proofs.format import Certificate, CertificateError

HERE = Path(__file__).parent
FILES = sorted((HERE / "bad").glob("*.cert"))
LARGEST = 200_000


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_bad", HERE / "make_bad.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["make_bad"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


MAKE = load()
BAD = MAKE.bad()
GRAPH = from_bytes((HERE / "plateau.graph").read_bytes())


def verdict(data: bytes) -> str:
    """Why the checker does not accept; empty where it does."""
    try:
        report = check(Certificate.from_bytes(data), GRAPH)
    except CertificateError as error:
        return str(error)
    if report.accepted:
        return ""
    return "; ".join([r.reason for r in report.rejected] + ["open"] * bool(report.open_leaves))


def test_the_folder_and_the_script_agree() -> None:
    assert set(BAD) <= {path.stem for path in FILES}
    assert len(FILES) >= 50
    for name, item in BAD.items():
        data = (HERE / "bad" / f"{name}.cert").read_bytes()
        assert data == item.data, name
        assert len(data) < LARGEST, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_is_rejected(path: Path) -> None:
    reason = verdict(path.read_bytes())
    assert reason
    if path.stem in BAD:
        assert re.search(BAD[path.stem].reason, reason), reason


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_checker_alone_says_so(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([str(path), "--graph", str(HERE / "plateau.graph")])
    printed = capsys.readouterr()
    assert code == (INCOMPLETE if path.stem == "open-leaf" else REJECTED)
    assert printed.out.count("\n") == 1
    assert printed.err == ""


def test_the_good_ones_beside_them_are_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    """Without this, a checker that rejects everything would pass."""
    good = sorted((HERE / "good").glob("*.cert"))
    assert good
    for path in good:
        assert verdict(path.read_bytes()) == ""
        assert main([str(path), "--graph", str(HERE / "plateau.graph")]) == ACCEPTED
    assert "accepted" in capsys.readouterr().out
    assert to_bytes(MAKE.GRAPH) == (HERE / "plateau.graph").read_bytes()
