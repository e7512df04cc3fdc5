"""The command line. ``main`` is the entry point; commands import what they need when they run."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from absint.cli.signals import Interrupted, install, restore

EXIT_USAGE = 2
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130
EXIT_PIPE = 141
TRACEBACK = "ABSINT_TRACEBACK"
"""Environment variable: set it to see the traceback of an internal error."""


def main() -> None:
    """Runs the command line and exits with a documented code; never with a traceback."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # parallelism is over batches; nested pools slow both down
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a verdict is not lost to a character
            stream.reconfigure(errors="backslashreplace", line_buffering=True)
    install()
    sys.exit(_run())


def _run(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        return _command(given)
    except (Interrupted, KeyboardInterrupt) as error:
        restore()  # a second signal ends the process at once
        code = error.exit_code if isinstance(error, Interrupted) else EXIT_INTERRUPTED
        return _fail("interrupted", code, given)
    except (BrokenPipeError, SystemExit):  # click makes one the other
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    except MemoryError:
        return _fail("out of memory", EXIT_INTERNAL, given)
    except Exception as error:
        return _internal(error, given)


def _command(given: list[str]) -> int:
    import click

    from absint.cli.app import app
    from absint.cli.usage import describe
    from absint.problem.errors import AbsintError

    try:
        code = app.main(given, prog_name="absint", standalone_mode=False)
    except AbsintError as error:
        return _fail(str(error), error.exit_code, given)
    except click.ClickException as error:
        return _fail(describe(error), EXIT_USAGE, given)
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


def _internal(error: Exception, given: Sequence[str]) -> int:
    if os.environ.get(TRACEBACK):
        import traceback

        traceback.print_exception(error)
    kind = type(error).__name__
    return _fail(
        f"internal error: {kind}: {error} ({TRACEBACK}=1 shows more)", EXIT_INTERNAL, given
    )


def _fail(message: str, code: int, given: Sequence[str]) -> int:
    """One line on stderr, and a JSON object on stdout where JSON is what was asked for."""
    from absint.cli.usage import wants_json

    line = " ".join(message.split())
    if wants_json(given):
        from absint.report.document import error_document

        print(error_document(line, code))
    print(f"absint: {line}", file=sys.stderr)
    return code
