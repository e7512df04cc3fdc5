"""The checker's claims in rationals: no rounding, nothing to be allowed for.

For networks that are piecewise linear. Slow, for audits and for small networks.
"""
