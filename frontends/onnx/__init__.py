"""ONNX models: to the core IR (``load``), and described without lowering errors (``inspect``)."""

from absint.frontends.onnx.model import Inspection, OnnxModel, TensorInfo, inspect, load

__all__ = ["Inspection", "OnnxModel", "TensorInfo", "inspect", "load"]
