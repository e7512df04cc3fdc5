"""VNN-LIB 1.0 and 2.0 to exact problems."""

from absint.frontends.vnnlib.reader import read_problem

__all__ = ["read_problem"]
