"""The networks of a model in files that other programs open: ONNX, and programs of PyTorch."""

from elboroom.exports.network_export import NetworkExport, export_onnx, export_torch

__all__ = ["NetworkExport", "export_onnx", "export_torch"]
