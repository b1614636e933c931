"""Trained models in other libraries: files of ONNX and PyTorch, and models of NumPyro and Pyro."""

from elboroom.exports.jax_decoder import jax_decoder
from elboroom.exports.network_export import NetworkExport, export_onnx, export_torch
from elboroom.exports.numpyro_model import numpyro_model
from elboroom.exports.pyro_model import pyro_model

__all__ = [
    "NetworkExport",
    "export_onnx",
    "export_torch",
    "jax_decoder",
    "numpyro_model",
    "pyro_model",
]
