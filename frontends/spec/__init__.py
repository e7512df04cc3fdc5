"""Spec files to exact problems: the YAML language of docs/spec.md, and VNN-LIB."""

from absint.frontends.spec.reader import read
from absint.frontends.spec.types import DatasetInfo, DatasetRow, Sources, Spec

__all__ = ["DatasetInfo", "DatasetRow", "Sources", "Spec", "read"]
