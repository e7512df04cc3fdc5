"""PyTorch modules: exported, and lowered to the core IR. Both execute their code."""

from absint.frontends.torch.model import (
    TorchInspection,
    TorchModel,
    inspect,
    load,
    load_module,
    lower_module,
)

__all__ = ["TorchInspection", "TorchModel", "inspect", "load", "load_module", "lower_module"]
