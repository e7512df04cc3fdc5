"""Branch and bound that splits neurons at their knots (docs/decisions/0009-phases.md)."""
