"""A model has one graph digest, whatever the process: hash seeds and threads do not count."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]
ONNX = TESTS.parent / "examples" / "monitor" / "monitor_8.onnx"
PROGRAM = """
import sys, torch
from torchzoo import Decoder
from absint.frontends.models import load
from absint.ir import digest
torch.manual_seed(0)
decoder = Decoder(), (torch.zeros(1, 5, dtype=torch.int64),)
for model in (sys.argv[1], decoder):
    print(digest(load(model).graph))
"""


def start(seed: int, threads: int) -> subprocess.Popen[str]:
    """A fresh interpreter that prints the digests of two models."""
    path = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    fixed = {"PYTHONPATH": path, "PYTHONHASHSEED": str(seed), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(ONNX)]
    return subprocess.Popen(command, env={**os.environ, **fixed}, stdout=subprocess.PIPE, text=True)


def test_digests_are_the_same_in_every_process() -> None:
    processes = [start(seed=0, threads=1), start(seed=1, threads=2)]
    (first, second) = (process.communicate()[0].split() for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert len(set(first)) == 2, "two models, two digests"
    assert first == second
