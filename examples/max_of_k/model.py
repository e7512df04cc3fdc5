"""The max-of-K transformer of Gross et al. 2024 ("Compact Proofs of Model Performance via
Mechanistic Interpretability"): one layer, one head, attention only.

No layer norm and no biases; learned positions; the answer is read off at the last position.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

VOCABULARY = 64
WIDTH = 32
LENGTHS = (4, 5, 10)
"""The lengths K that a trained model is kept for."""


class MaxOfK(nn.Module):
    """Token ids (batch, K) to logits (batch, K, 64); row K - 1 answers for the whole text."""

    embedding: nn.Parameter
    position: nn.Parameter
    query: nn.Parameter
    key: nn.Parameter
    value: nn.Parameter
    output: nn.Parameter
    unembedding: nn.Parameter

    def __init__(self, length: int) -> None:
        super().__init__()
        shapes = {
            "embedding": (VOCABULARY, WIDTH),
            "position": (length, WIDTH),
            "query": (WIDTH, WIDTH),
            "key": (WIDTH, WIDTH),
            "value": (WIDTH, WIDTH),
            "output": (WIDTH, WIDTH),
            "unembedding": (WIDTH, VOCABULARY),
        }
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(shape) / WIDTH**0.5))

    def forward(self, tokens: Tensor) -> Tensor:
        x = nn.functional.embedding(tokens, self.embedding) + self.position
        query, key, value = ((x @ w).unsqueeze(1) for w in (self.query, self.key, self.value))
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        mixed = mixed.squeeze(1)
        logits: Tensor = (x + mixed @ self.output) @ self.unembedding
        return logits


def weights_file(length: int) -> Path:
    return Path(__file__).with_name(f"max_of_{length}.npz")


def load(length: int) -> MaxOfK:
    """The trained model for texts of ``length`` tokens, one of LENGTHS."""
    model = MaxOfK(length)
    with np.load(weights_file(length), allow_pickle=False) as arrays:
        model.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    return model.eval()


def max_of_4() -> MaxOfK:
    return load(4)


def max_of_5() -> MaxOfK:
    return load(5)


def max_of_10() -> MaxOfK:
    return load(10)
