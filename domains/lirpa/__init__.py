"""auto_LiRPA (Xu et al. 2020) as a second opinion: bounds for the search, never for the checker."""

from __future__ import annotations

from absint.domains.lirpa.bounds import Lirpa

__all__ = ["Lirpa"]
