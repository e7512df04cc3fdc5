"""Trains the monitor of N observations and writes ``monitor_N.pt`` and ``monitor_N.onnx``.

    python examples/monitor/train.py 16

First plainly, on random texts, then with bounds over token sets (``absint.train``): at each step of
the chain of thought, what kind of sign is read and the last state are known, and everything else
is any token that may stand there. One to five minutes on one core. Another machine may round
differently and give other weights, which is why the models are kept in the repository.
"""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import torch
from chains import Task, train
from model import CAP, OBSERVATIONS, SEVERITY, STATES, TOKEN, VOCABULARY

sys.path.append(str(Path(__file__).parents[1]))

from exporting import to_onnx

TASK = Task(
    vocabulary=VOCABULARY,
    signs=range(len(OBSERVATIONS)),
    mark=TOKEN[">"],
    start=TOKEN["S0"],
    after={
        TOKEN[state]: {
            observation: TOKEN[STATES[min(CAP, count + severity)]]
            for observation, severity in enumerate(SEVERITY)
        }
        for count, state in enumerate(STATES)
    },
    closing=[
        {
            TOKEN[state]: TOKEN["ALERT" if count == CAP else "SAFE"]
            for count, state in enumerate(STATES)
        }
    ],
)

if __name__ == "__main__":
    size = int(sys.argv[1])
    model = train(TASK, size)
    torch.save(model.state_dict(), Path(__file__).with_name(f"monitor_{size}.pt"))
    onnx.save(to_onnx(model, TASK.length(size)), Path(__file__).with_name(f"monitor_{size}.onnx"))
