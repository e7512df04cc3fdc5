"""Every decoding certificate in ``bad/decode/`` is rejected with its reason."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from absint.ir import from_bytes, to_bytes
from absint.proofs.__main__ import ACCEPTED, INCOMPLETE, REJECTED, main
from absint.proofs.decode.check import check_decode
from absint.proofs.format import Certificate, CertificateError

HERE = Path(__file__).parent
FILES = sorted((HERE / "bad" / "decode").glob("*.cert"))
GRAPH = HERE / "decoder.graph"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_bad_decode", HERE / "make_bad_decode.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_bad_decode"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


MAKE = load()
BAD = MAKE.bad()


def verdict(data: bytes) -> str:
    """Why the checker does not accept; empty where it does."""
    try:
        graph = from_bytes(GRAPH.read_bytes())
        report = check_decode(Certificate.from_bytes(data), {MAKE.SLOTS: graph})
    except CertificateError as error:
        return str(error)
    if report.accepted:
        return ""
    return "; ".join([r.reason for r in report.rejected] + ["open"] * bool(report.open_count))


def test_the_folder_and_the_script_agree() -> None:
    assert set(BAD) <= {path.stem for path in FILES}
    assert len(FILES) >= 15
    for name, item in BAD.items():
        assert (HERE / "bad" / "decode" / f"{name}.cert").read_bytes() == item.data, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_is_rejected(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reason = verdict(path.read_bytes())
    assert reason
    if path.stem in BAD:
        assert BAD[path.stem].reason in reason
    code = main([str(path), "--graph", str(GRAPH)])
    assert code == (INCOMPLETE if path.stem == "open" else REJECTED)
    assert capsys.readouterr().out.count("\n") == 1


def test_the_good_one_beside_them_is_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    data = (HERE / "good" / "decode" / "sum.cert").read_bytes()
    assert data == MAKE.GOOD.to_bytes()
    assert verdict(data) == ""
    assert main([str(HERE / "good" / "decode" / "sum.cert"), "--graph", str(GRAPH)]) == ACCEPTED
    assert "accepted" in capsys.readouterr().out
    assert to_bytes(MAKE.GRAPH) == GRAPH.read_bytes()
