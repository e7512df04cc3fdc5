"""ONNX models: to the core IR (``load``), and described without lowering errors (``inspect``)."""

from absint.frontends.onnx.model import Inspection, OnnxModel, inspect, load

__all__ = ["Inspection", "OnnxModel", "inspect", "load"]
