"""Where the results of a spec's properties are written, and how they get there."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from absint.cli.exits import worst_exit_code
from absint.cli.progress import ProgressLine
from absint.cli.signals import Stop
from absint.problem import InputError
from absint.report import artifacts, files


class Counterexamples(Protocol):
    """A kind of counterexample files: the module that writes them."""

    def require_writable(self, path: Path) -> None: ...

    def paths(self, path: Path) -> tuple[Path, ...]: ...

    def save(self, path: Path, task: Any, result: Any) -> None: ...


class Report(Protocol):
    """Takes results as they come."""

    def add(self, result: Any, certificate: Path) -> None: ...

    def finish(self, exit_code: int) -> None: ...


@dataclass(frozen=True)
class Targets:
    """Each property's certificate and, where they are asked for, counterexample."""

    certificates: dict[str, Path]
    counterexamples: dict[str, Path]
    kind: Counterexamples | None

    @staticmethod
    def of(
        names: Sequence[str],
        region: Path,
        certificate: Path | None,
        counterexample: Path | None,
        kind: Counterexamples | None,
    ) -> Targets:
        """All can be written and no two are one. Raises InputError.

        ``kind`` is needed where ``counterexample`` is given.
        """
        from absint.frontends.spec.files import stem

        certificates = per_property(names, certificate or Path(f"{stem(region)}.cert"))
        for path in certificates.values():
            artifacts.require_writable(path)
        counterexamples: dict[str, Path] = {}
        planned = [own for path in certificates.values() for own in artifacts.paths(path)]
        if counterexample is not None and kind is not None:
            counterexamples = per_property(names, counterexample)
            for path in counterexamples.values():
                kind.require_writable(path)
                planned += kind.paths(path)
        files.require_distinct(planned)
        return Targets(certificates, counterexamples, kind)

    def deliver(
        self,
        task: Any,
        files: tuple[Path, Path],
        results: Iterable[Any],
        report: Report,
        line: ProgressLine,
        stop: Stop | None = None,
    ) -> int:
        """Writes and reports the results of ``task`` as they come; returns the exit code, that of
        ``stop`` where a signal was noted.

        ``files``: the model and the spec, as the certificates' statements name them.
        """
        done = []
        for result in results:
            line.clear()
            if result.certificate is not None:
                # What is certified of a property that fails is a proof with open parts.
                verdict = "verified" if result.verdict.value == "verified" else "unknown"
                place = self.certificates[result.name]
                artifacts.write(place, result.certificate, verdict, *map(str, files))
            found = self.counterexamples.get(result.name)
            if self.kind is not None and found is not None and result.counterexample is not None:
                self.kind.save(found, task, result)
            done.append(result)
            report.add(result, self.certificates[result.name])
        code = worst_exit_code(done)
        if stop is not None and stop.exit_code is not None:
            print("absint: interrupted", file=sys.stderr)
            code = stop.exit_code
        report.finish(code)
        return code


def per_property(names: Sequence[str], base: Path) -> dict[str, Path]:
    """A path for each property: ``base``, or with the properties' names where there are several.

    Raises InputError.
    """
    if len(names) == 1:
        return {names[0]: base}
    if not base.name:
        raise InputError("is not a file's name", str(base))
    return {
        name: base.with_name(f"{base.stem}-{safe}{base.suffix}")
        for name, safe in zip(names, files.safe_names(names), strict=True)
    }
