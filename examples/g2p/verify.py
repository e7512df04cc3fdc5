"""Verifies regions of words: ``python examples/g2p/verify.py '*' '**' '***'``.

A pattern holds letters and ``*`` for any letter. Exit codes are those of ``absint verify``.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from load import VOCABULARY, decode_graph, package_folder, read_weights
from runtime import predictor
from words import binding, package_runner, problem, region

from absint.decode.prove import prove_decode
from absint.decode.result import DecodeResult
from absint.search.options import SearchOptions


def main() -> int:
    options = _parser().parse_args()
    folder = package_folder()
    if folder is None:
        print("g2p-en 2.1.0 is not installed and G2P_EN is not set", file=sys.stderr)
        return 2
    claim = problem(region(options.patterns, options.exclude))
    weights, predict = read_weights(folder), predictor(folder)
    graphs = {n: decode_graph(weights, n) for n in {len(cell.slots) for cell in claim.cells}}
    result = prove_decode(
        graphs,
        claim,
        binding(folder, claim),
        lambda n: package_runner(predict, graphs[n], claim),
        SearchOptions(timeout=options.timeout, jobs=options.jobs),
        bounds_first=options.bounds,
    )
    show(result)
    if options.certificate is not None and result.certificate is not None:
        options.certificate.write_bytes(result.certificate)
    return result.verdict.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patterns", nargs="+", metavar="PATTERN")
    parser.add_argument("--exclude", nargs="*", default=[], metavar="WORD")
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--bounds", action="store_true", help="try bounds before running words")
    parser.add_argument("--certificate", type=Path, help="where to write it")
    return parser


def show(result: DecodeResult) -> None:
    """Prints the verdict, and what was decided how."""
    effort, report = result.effort, result.report
    seconds = f"search {effort.search_seconds:.1f} s, check {effort.check_seconds:.1f} s"
    print(f"{result.verdict}: {result.name} ({seconds})")
    if result.reason:
        print(f"  {result.reason}")
    if result.counterexample is not None:
        found = result.counterexample
        print(f"  {_word(found.prompt)}:")
        for token, margin in zip(found.output, found.margins, strict=True):
            print(f"    {VOCABULARY[token]:4} by {margin:.4f}")
    if report is not None:
        closed = report.prompts - report.open_count
        run = min(report.runs, closed)
        print(f"  {report.prompts} words: {closed - run} decided by bounds, {run} run one by one,")
        print(f"  {report.open_count} open")
        for cell in report.open_prompts:
            if 0 < cell.count <= 20:
                print("  open:", *map(_word, cell))
    if result.certificate is not None:
        print(f"  certificate of {len(result.certificate)} bytes")


def _word(prompt: tuple[int, ...]) -> str:
    return "".join(VOCABULARY[token] for token in prompt)


if __name__ == "__main__":
    sys.exit(main())
