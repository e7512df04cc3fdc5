"""Front-ends: model files and specs to the IR and to exact problems."""

if __name__ != "absint.frontends":
    raise ImportError(f"import this package as absint.frontends, not as {__name__}")
