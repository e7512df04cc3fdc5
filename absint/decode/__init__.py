"""Greedy decoding: networks that write tokens by argmax and read them back."""
