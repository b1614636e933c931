"""Coders as ONNX."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram

from elboroom.errors import UsageError, missing_library
from elboroom.exports.coder import Coder, Inputs
from elboroom.exports.torch_program import dynamic_shapes, not_exported

_LIBRARIES = "onnx", "onnxscript"
_LARGEST = (1 << 31) - (1 << 24)  # bytes of weights: a file of protobuf has less than 2 GiB
_LOGGERS = "torch.onnx", "onnxscript", "onnx_ir"  # which warn of what they do not optimise
_EXPECTED = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # PyTorch about its own code
    r"# The axis name: \w+ will not be used, since it shares the same shape",  # it is used
)


def require_onnx() -> None:
    """Check that the libraries are installed that write ONNX.

    Raises:
        UsageError: if one is not.
    """
    for library in _LIBRARIES:
        if find_spec(library) is None:
            raise missing_library("ONNX cannot be written", library, "onnx")


def onnx_model(coder: Coder, program: ExportedProgram, notes: dict[str, str]) -> Any:
    """Translate a program into an ONNX `ModelProto`, with `notes` as its metadata.

    Raises:
        UsageError: it has too many weights, or an operator that ONNX lacks.
    """
    _require_small(coder)
    with _quiet():
        try:
            found = torch.onnx.export(
                program,
                output_names=list(coder.outputs),
                dynamic_shapes=dynamic_shapes(coder),
                dynamo=True,
                verbose=False,
            )
        except Exception as error:
            raise not_exported(coder, error) from error
    assert found is not None
    found.model.metadata_props.update(notes)
    return found.model_proto


def opset(proto: Any) -> int:
    """Return the version of the operators."""
    return next(each.version for each in proto.opset_import if each.domain in ("", "ai.onnx"))


@dataclass(frozen=True)
class OnnxRuntime:
    """A program that computes with ONNX: onnxruntime, or else the evaluator of ONNX itself.

    Attributes:
        name: its name and version.
        session: an object with `run(outputs, inputs)`.
        outputs: the names of the outputs.
    """

    name: str
    session: Any
    outputs: tuple[str, ...]

    @classmethod
    def of(cls, content: bytes) -> "OnnxRuntime":
        """Load the content of a file."""
        if find_spec("onnxruntime") is None:
            return cls._reference(content)
        from onnxruntime import InferenceSession

        session = InferenceSession(content, providers=["CPUExecutionProvider"])
        outputs = tuple(each.name for each in session.get_outputs())
        return cls(f"onnxruntime {version('onnxruntime')}", session, outputs)

    @classmethod
    def _reference(cls, content: bytes) -> "OnnxRuntime":
        from onnx.reference import ReferenceEvaluator

        session = ReferenceEvaluator(content)
        return cls(
            f"onnx.reference {version('onnx')}", session, tuple(map(str, session.output_names))
        )

    def __call__(self, **inputs: Tensor) -> Inputs:
        """Compute the outputs."""
        given = {name: value.numpy() for name, value in inputs.items()}
        with np.errstate(all="ignore"):  # the evaluator's exp overflows where PyTorch's does
            found = self.session.run(None, given)
        pairs = zip(self.outputs, found, strict=True)
        return {name: torch.as_tensor(value) for name, value in pairs}


def _require_small(coder: Coder) -> None:
    size = sum(p.numel() * p.element_size() for p in coder.module.parameters())
    if size > _LARGEST:
        raise UsageError(
            f"the {coder.name} is too large for a file of ONNX",
            why=f"found {size:,} bytes of weights; expected {_LARGEST:,} at most",
            fix="use --to torch",
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what the exporter says of PyTorch itself, and of what it does not optimise."""
    levels = {logger: logger.level for logger in map(logging.getLogger, _LOGGERS)}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message in _EXPECTED:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
