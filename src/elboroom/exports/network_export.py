"""The export of encoder and decoder: programs, their check, and the folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from elboroom import __version__
from elboroom.errors import UsageError
from elboroom.exports.coder import Coder, coders, portable
from elboroom.exports.description import describe
from elboroom.exports.folder import DESCRIPTION, require_free, write_export_folder
from elboroom.exports.onnx_file import OnnxRuntime, onnx_model, opset, require_onnx
from elboroom.exports.parity import TOLERANCE, parity
from elboroom.exports.torch_program import torch_program
from elboroom.html_table import Shown, Summary
from elboroom.model.arguments import checked
from elboroom.model.fingerprint import fingerprint
from elboroom.model.vae import VAE
from elboroom.runs.atomic import as_json, write_file
from elboroom.runs.run import Run


@dataclass(frozen=True, repr=False)
class NetworkExport(Shown):
    """The files of an export, and how close they are to the model.

    Attributes:
        files: the files, of which the last describes the others.
        checked_by: the name and version of what computed with the exported networks.
        difference: the largest difference to the model's outputs, relative to 1 or to the size of
            an output, for 1 sample of 1 row, 2 samples of 9 rows and 7 samples of 1 row.
        tolerance: the largest difference with which anything is written.
        notes: parts of the model that the files lack, each a sentence.

    Example:
        >>> from elboroom.exports import export_torch
        >>> found = export_torch(model, "programs")
        >>> found.difference <= found.tolerance, found.notes
        (True, ())
    """

    files: tuple[Path, ...]
    checked_by: str
    difference: float
    tolerance: float = TOLERANCE
    notes: tuple[str, ...] = ()

    def _summary(self) -> Summary:
        facts = {
            "checked by": self.checked_by,
            "outputs differ by": f"{self.difference:.1e} at most; {self.tolerance:g} is allowed",
        }
        return Summary(", ".join(map(str, self.files)), facts, notes=self.notes)


@dataclass(frozen=True)
class _File:
    """A network as a file: its content, its check, and facts for the description."""

    name: str
    content: bytes
    checked_by: str
    difference: float
    facts: dict[str, Any]


@checked
def export_onnx(
    model: VAE, folder: str | PathLike[str], *, run: Run | None = None
) -> NetworkExport:
    """Write encoder and decoder as ONNX, with a description in `model.json`.

    Both are in float32, and take any number of rows and samples. They are compared with the model
    before they are written, by onnxruntime if it is installed.

    Args:
        model: the model.
        folder: the new folder; an earlier export there is replaced.
        run: the run that the model is of; its options and its columns are then described.

    Raises:
        UsageError: a library of the extra `onnx` is missing, the model is not the run's, something
            else is at `folder`, or a network cannot be exported, or not with the same numbers.
        DiskError: the folder cannot be written.

    Example:
        >>> from elboroom.exports import export_onnx
        >>> [file.name for file in export_onnx(model, "networks").files]
        ['encoder.onnx', 'decoder.onnx', 'model.json']
    """
    require_onnx()
    return _export(model, Path(folder), run, _onnx_file)


@checked
def export_torch(
    model: VAE, folder: str | PathLike[str], *, run: Run | None = None
) -> NetworkExport:
    """Write encoder and decoder as programs of `torch.export`, described in `model.json`.

    The same as `export_onnx`. `torch.export.load` reads such a file, and unpickles some of it: it
    is for files that the reader trusts. elboroom reads none.

    Args:
        model: the model.
        folder: the new folder; an earlier export there is replaced.
        run: the run that the model is of; its options and its columns are then described.

    Raises:
        UsageError: the model is not the run's, something else is at `folder`, or a network cannot
            be exported, or not with the same numbers.
        DiskError: the folder cannot be written.

    Example:
        >>> from elboroom.exports import export_torch
        >>> encoder, decoder, description = export_torch(model, "programs").files
        >>> program = torch.export.load(decoder).module()
        >>> program(z=torch.zeros(5, 7, 2))["mean"].shape  # 5 samples of 7 rows
        torch.Size([5, 7, 1, 28, 28])
    """
    return _export(model, Path(folder), run, _torch_file)


def _export(
    model: VAE, folder: Path, run: Run | None, make: Callable[[Coder, str], _File]
) -> NetworkExport:
    require_free(folder)
    copy, mark = portable(model), fingerprint(model)
    if run is not None:
        _require_model_of(run, mark)
    with torch.no_grad():
        found = [(coder, make(coder, mark)) for coder in coders(copy)]
        networks = [(coder, {"file": file.name} | file.facts) for coder, file in found]
        described = describe(copy, networks, run, mark)
    files = [file for _, file in found]
    contents = {file.name: file.content for file in files}
    contents[DESCRIPTION] = as_json(described).encode()
    write_export_folder(folder, lambda new: _fill(new, contents))
    largest = max(file.difference for file in files)
    paths, notes = tuple(folder / name for name in contents), tuple(_notes(model, described))
    return NetworkExport(paths, files[0].checked_by, largest, notes=notes)


def _require_model_of(run: Run, mark: str) -> None:
    """Check that the weights are those of a run's newest checkpoint, or of its best.

    Raises:
        UsageError: they are not, so that its columns may be others.
    """
    if not any(fingerprint(run.load_model(best=best)) == mark for best in (False, True)):
        raise UsageError(
            f"this model is not that of {run.path}",
            why="its weights are neither those of the newest checkpoint nor those of the best",
            fix="give the model that run.load_model() returns, or leave `run` out",
        )


def _notes(model: VAE, described: dict[str, Any]) -> Iterator[str]:
    if described["posterior"] is None:
        yield "the model has no encoder, so there is none: it infers z by fits"
    if model.partial_encoder is not None:
        yield "the partial encoder is not in it: use `elboroom infer`"
    prior = described["prior"]
    if None in (prior["density"], prior.get("top", prior)["density"]):
        yield f"model.json has no density of the prior {prior['name']}: draw z in elboroom"


def _fill(folder: Path, contents: dict[str, bytes]) -> None:
    for name, content in contents.items():
        write_file(folder / name, content)


def _onnx_file(coder: Coder, mark: str) -> _File:
    notes = {"elboroom_version": __version__, "elboroom_fingerprint": mark}
    proto = onnx_model(coder, torch_program(coder), notes)
    content = proto.SerializeToString()
    runtime = OnnxRuntime.of(content)
    apart = parity(coder, runtime, runtime.name)
    facts = {"opset": opset(proto), "checked_by": runtime.name, "difference": apart}
    return _File(f"{coder.name}.onnx", content, runtime.name, apart, facts)


def _torch_file(coder: Coder, mark: str) -> _File:
    program, by = torch_program(coder), f"torch {torch.__version__}"
    apart = parity(coder, program.module(), by)
    file, notes = BytesIO(), {"elboroom_version": __version__, "elboroom_fingerprint": mark}
    torch.export.save(program, file, extra_files=notes)
    facts = {"checked_by": by, "difference": apart}
    return _File(f"{coder.name}.pt2", file.getvalue(), by, apart, facts)
