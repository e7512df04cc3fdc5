"""PyTorch modules: exported, and lowered to the core IR."""

from absint.frontends.torch.model import lower_module

__all__ = ["lower_module"]
