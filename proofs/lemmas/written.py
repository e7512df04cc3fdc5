"""What of the checker is proved in docs/rigor.md in words: rule or op, and the section's number."""

from __future__ import annotations

from absint.proofs.lemmas.lemma import ops

_SECTIONS = {
    3: ops("reshape gather concat"),
    6: ops(
        "relu leaky_relu abs clip sigmoid tanh erf exp log sqrt reciprocal power sin cos gelu "
        "gelu_tanh silu mish softplus elu hard_swish sign floor round"
    ),
    7: ops("embedding mul matmul softmax normalize argmax"),
    11: frozenset({"rule:decode.run"}),
    12: ops("attend"),
    13: frozenset({"rule:decode.read", "rule:decode.done", "rule:decode.probe"}),
}
WRITTEN = {name: section for section, names in _SECTIONS.items() for name in names}
