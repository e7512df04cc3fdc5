"""Branch and bound that splits neurons (docs/decisions/0011-splitting-neurons.md)."""
