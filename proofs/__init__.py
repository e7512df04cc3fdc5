"""Certificates: format, rigorous arithmetic and the independent checker."""

if __name__ != "absint.proofs":
    raise ImportError(f"import this package as absint.proofs, not as {__name__}")
