"""Greedy decoding: networks that write tokens by argmax and read them back."""

from absint.decode.greedy import Decoder, Transcript, decode
from absint.decode.network import check_causal, decode_graph, prompt_slots

__all__ = ["Decoder", "Transcript", "check_causal", "decode", "decode_graph", "prompt_slots"]
