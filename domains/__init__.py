"""Abstract domains and their transformers, as untrusted proposers of bounds."""

if __name__ != "absint.domains":
    raise ImportError(f"import this package as absint.domains, not as {__name__}")
