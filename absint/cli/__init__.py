"""The command line. ``main`` is the entry point; commands import what they need when they run."""

from __future__ import annotations

import os
import sys

EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130
TRACEBACK = "ABSINT_TRACEBACK"
"""Environment variable: set it to see the traceback of an internal error."""


def main() -> None:
    """Runs the command line and exits with a documented code; never with a traceback."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # parallelism is over batches; nested pools slow both down
    sys.exit(_run())


def _run() -> int:
    import click

    from absint.cli.app import app
    from absint.problem.errors import AbsintError

    try:
        code = app.main(prog_name="absint", standalone_mode=False)
    except AbsintError as error:
        return _fail(str(error), error.exit_code)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", EXIT_INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        return EXIT_INTERNAL
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        kind = type(error).__name__
        return _fail(f"internal error: {kind}: {error} ({TRACEBACK}=1 shows more)", EXIT_INTERNAL)
    return code if isinstance(code, int) else 0


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    print(f"absint: {line}", file=sys.stderr)
    return code
