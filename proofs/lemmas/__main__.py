"""``python -m absint.proofs.lemmas``: proves every lemma; the exit code says whether all hold."""

from __future__ import annotations

import sys
import time

from absint.proofs.lemmas import LEMMAS


def main() -> int:
    failed = 0
    for lemma in LEMMAS:
        begun = time.perf_counter()
        model = lemma.refuted_by()
        seconds = time.perf_counter() - begun
        failed += model is not None
        print(f"{'proved' if model is None else 'FALSE '} {seconds:6.2f} s  {lemma.name}")
        if model is not None:
            print(f"    {model}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
