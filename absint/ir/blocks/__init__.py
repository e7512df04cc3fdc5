"""Block graphs: a network over whole sequences, taken apart into vectors of one position each."""

from absint.ir.blocks.slots import slots_of
from absint.ir.blocks.store import COPIES
from absint.ir.blocks.unroll import unroll

__all__ = ["COPIES", "slots_of", "unroll"]
