"""Workers that fail, each in its own way; started by name in processes of their own."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.connection import Connection
from typing import Any

from absint.executors.pool import READY


def serve(pipe: Connection, settings: Any) -> None:
    """Does what each payload says; ``settings`` may be "broken": it never starts."""
    if settings == "broken":
        os._exit(3)
    pipe.send(READY)
    held = []
    while True:
        payload = pipe.recv()
        if payload == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif payload == "hang":
            time.sleep(600)
        elif payload == "eat":
            held.append(b"x" * (400 << 20))
            time.sleep(600)
        elif payload == "leave":
            os._exit(0)
        pipe.send((payload, os.getpid()))
