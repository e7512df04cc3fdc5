"""Training networks to be verifiable: the domains' bounds as differentiable PyTorch losses."""

from absint.train.boxes import BoxLoss
from absint.train.fit import Cases, fit, share_certified
from absint.train.loss import worst_cross_entropy
from absint.train.parameters import Lower, Parametric
from absint.train.schedule import Ramp, grown_boxes, grown_sets
from absint.train.tokens import TokenLoss

__all__ = [
    "BoxLoss",
    "Cases",
    "Lower",
    "Parametric",
    "Ramp",
    "TokenLoss",
    "fit",
    "grown_boxes",
    "grown_sets",
    "share_certified",
    "worst_cross_entropy",
]
