"""Networks with planted counterexamples: none is ever verified, with the attack or without it."""

from __future__ import annotations

from pathlib import Path

import pytest
from redteam.planted import ARCHITECTURES, plant

from absint import api
from absint.search.attack import Attack
from absint.search.options import SearchOptions

EVERY = [(name, seed) for seed in range(3) for name in ARCHITECTURES]
FEW = [("leaky", 0)]


def never_verified(name: str, seed: int, folder: Path, seconds: float) -> str:
    """The verdict with the attack; fails if that, or one without it, is ``verified``."""
    planted = plant(name, seed)
    assert planted.margins(planted.point).item() < 0
    planted.write_spec(folder / "spec.yaml")

    def verdict() -> str:
        options = SearchOptions(timeout=seconds)
        (result,) = api.verify(planted.module, folder / "spec.yaml", options)
        return result.verdict.value

    first = verdict()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Attack, "replay", lambda *arguments: None)
        blind = verdict()
    assert first in ("falsified", "unknown")
    assert blind == "unknown"
    return first


@pytest.mark.parametrize(("name", "seed"), FEW)
def test_one(name: str, seed: int, tmp_path: Path) -> None:
    never_verified(name, seed, tmp_path, 1.0)


@pytest.mark.full
def test_many(tmp_path: Path) -> None:
    assert len(EVERY) >= 20
    found = [never_verified(name, seed, tmp_path, 10.0) for name, seed in EVERY]
    print(f"{len(EVERY)} networks: the attack finds {found.count('falsified')}, none is verified")
