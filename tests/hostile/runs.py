"""Hostile checkpoints whose manifests match them, and links that lead out of a run."""

import json
import os
import shutil
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from elboroom.config import AmortiseConfig
from elboroom.model.partial_encoder import PartialEncoder
from elboroom.runs import partial_encoder_file
from elboroom.runs.checkpoints import listing, manifest
from elboroom.runs.run import Run
from elboroom.training.amortisation import Look
from tests.hostile.case import Case
from tests.hostile.tables import model, report
from tests.support.small_run import small_run

MODEL, OPTIMISER, MANIFEST = manifest.MODEL, manifest.OPTIMISER, manifest.MANIFEST
Tensors = dict[str, torch.Tensor]


def training(path: Path) -> Any:
    run = Run(path)
    return run.load_training(run.load_data())


def sign(step: Path) -> None:
    """Write a manifest that matches the files as they are."""
    files = {name: (step / name).read_bytes() for name in (MODEL, OPTIMISER)}
    (step / MANIFEST).write_bytes(manifest.build(listing.step_of(step), None, files))


def one_checkpoint(folder: Path) -> tuple[Path, Path]:
    """Make a run with a single checkpoint, and return both."""
    run = small_run(folder / "run")
    shutil.rmtree(run / "checkpoints" / "step-000001")
    return run, run / "checkpoints" / "step-000002"


def holding(name: str, edit: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    """Return a maker of a run whose checkpoint has another file, with a matching manifest."""

    def make(folder: Path) -> Path:
        run, step = one_checkpoint(folder)
        (step / name).write_bytes(edit((step / name).read_bytes()))
        if name != MANIFEST:
            sign(step)
        return run

    return make


def tensors(edit: Callable[[Tensors], Any]) -> Callable[[bytes], bytes]:
    """Return an edit of the tensors of a file."""

    def change(content: bytes) -> bytes:
        found = load(content)
        edit(found)
        return save(found)

    return change


def headed(
    header: bytes, values: bytes = b"", length: int | None = None
) -> Callable[[bytes], bytes]:
    """Return an edit that makes a safetensors file with any header."""
    size = len(header) if length is None else length
    return lambda whole: struct.pack("<Q", size) + header + values


def entry(name: str, kind: str, shape: list[int], *places: int) -> bytes:
    return json.dumps({name: {"dtype": kind, "shape": shape, "data_offsets": places}}).encode()


def manifest_with(**changed: Any) -> Callable[[bytes], bytes]:
    """Return an edit that changes a manifest, and lets it match itself."""

    def edit(whole: bytes) -> bytes:
        content = {**json.loads(whole), **changed}
        return manifest.encode(*(content[n] for n in ("step", "held_out_elbo", "files")))

    return edit


BIAS = "decoder.trunk.2.bias"
NONE, MISMATCH, HEADER = "no checkpoint of", "size mismatch", "it is not a safetensors file"
WEIGHTS: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("nothing", lambda whole: b"", "no checkpoint of"),
    ("another shape", tensors(lambda t: t.update({BIAS: t[BIAS][:3].clone()})), MISMATCH),
    ("another type", tensors(lambda t: t.update({BIAS: t[BIAS].double()})), "torch.float64"),
    ("a tensor less", tensors(lambda t: t.pop(BIAS)), f"{MISMATCH} for {BIAS}: found none"),
    ("a tensor more", tensors(lambda t: t.update(x=torch.zeros(1))), "for x: found torch"),
    ("a header of 2^63 bytes", headed(b"{}", bytes(1_000), 2**63), "the header is 9,223,372"),
    (
        "a header of 100 MB",
        headed(b"{}", bytes(1_000), 10**8),
        "the header is 100,000,000 bytes long; at most",
    ),
    ("a header longer than it is", headed(b"{}" + bytes(1_000), length=2_000), HEADER),
    ("a header that is none", headed(b"x" * 1_000), HEADER),
    ("a header of nothing", headed(b"", bytes(1_000)), HEADER),
    ("a header, deeply nested", headed(b'{"a":' * 1_000), HEADER),
    ("a shape of 2^60", headed(entry(BIAS, "F32", [2**60], 0, 4), bytes(1_000)), HEADER),
    (
        "a shape that overflows",
        headed(entry(BIAS, "F32", [2**32, 2**32], 0, 0), bytes(1_000)),
        HEADER,
    ),
    ("a negative shape", headed(entry(BIAS, "F32", [-1], 0, 4), bytes(1_000)), HEADER),
    ("places beyond it", headed(entry(BIAS, "F32", [2], 0, 8)), "no checkpoint of"),
    ("places that run back", headed(entry(BIAS, "F32", [1], 8, 4), bytes(1_000)), HEADER),
    ("an unknown type", headed(entry(BIAS, "X9", [1], 0, 4), bytes(4)), "no checkpoint of"),
    ("a pickle", lambda whole: b"\x80\x04\x95" + bytes(2_000), "the header is"),
    ("more after its end", lambda whole: whole + bytes(10), HEADER),
]
MOMENTS: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("no totals", tensors(lambda t: t.pop("totals")), f"{MISMATCH} for totals"),
    ("totals of another shape", tensors(lambda t: t.update(totals=torch.zeros(4))), MISMATCH),
    ("moments of no weight", tensors(lambda t: t.update({"x|y": torch.zeros(1)})), "for x|y"),
    ("a moment without a name", tensors(lambda t: t.update(x=torch.zeros(1))), "for x"),
    (
        "a moment of another shape",
        tensors(lambda t: t.update({f"{BIAS}|exp_avg": torch.zeros(3)})),
        MISMATCH,
    ),
    ("no moment", tensors(lambda t: t.pop(f"{BIAS}|exp_avg")), MISMATCH),
]
MANIFESTS: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("nothing", lambda whole: b"", NONE),
    ("a list", lambda whole: b"[]", NONE),
    ("a number", lambda whole: b"3", NONE),
    ("null", lambda whole: b"null", NONE),
    ("megabytes", lambda whole: whole + b" " * (2 << 20), "bytes long; at most 65,536 are allowed"),
    ("nested deeply", lambda whole: b"[" * 30_000, "nested too deeply"),
    ("no text", lambda whole: b"\xff\xfe", "can't decode"),
    ("a name twice", lambda whole: b'{"step": 1, "step": 2}', "gives a name twice"),
    ("a step that is text", manifest_with(step="2"), "for step 2"),
    ("a step that is true", manifest_with(step=True), "for step True"),
    ("a negative step", manifest_with(step=-2), "for step -2"),
    ("a step that is a float", manifest_with(step=2.0), "for step 2.0"),
    ("a step of NaN", manifest_with(step=float("nan")), "NaN is not JSON"),
    ("a step of 10^4000", manifest_with(step=10**4_000), NONE),
    ("files that are a list", manifest_with(files=[1]), NONE),
    ("files of nothing", manifest_with(files={}), "model.safetensors"),
    ("a file that is text", manifest_with(files={MODEL: "x", OPTIMISER: "x"}), NONE),
    (
        "a negative size",
        manifest_with(files={MODEL: {"size": -1}, OPTIMISER: {}}),
        "does not match",
    ),
]


def _sparse(name: str) -> Callable[[Path], Path]:
    """Return a maker of a sparse file of 8 GiB with a matching size in its manifest."""

    def make(folder: Path) -> Path:
        run, step = one_checkpoint(folder)
        os.truncate(step / name, 8 << 30)
        described = json.loads((step / MANIFEST).read_text())
        described["files"][name]["size"] = 8 << 30
        signed = manifest.encode(described["step"], None, described["files"])
        (step / MANIFEST).write_bytes(signed)
        return run

    return make


def _widened(folder: Path) -> Path:
    """Make a config of networks of 4 GiB, and a file of weights that claims to hold them."""
    run = _sparse(MODEL)(folder)
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace("    5,\n", "    3,\n"))
    return run


def _linked(name: str, folder: Path) -> Path:
    """Make a run in which one file or folder is a link to another place."""
    run = small_run(folder / "run")
    (run / name).rename(folder / "elsewhere")
    (run / name).symlink_to(folder / "elsewhere")
    return run


def _planted(name: str, folder: Path) -> Path:
    """Make a run with a link, where it would write, to a file outside of it."""
    (folder / "elsewhere").touch()
    run = small_run(folder / "run")
    (run / name).symlink_to(folder / "elsewhere")
    return run


def _link_to_run(folder: Path) -> Path:
    (folder / "link").symlink_to(small_run(folder / "run"))
    return folder / "link"


def _pipe(name: str, folder: Path) -> Path:
    run = small_run(folder / "run")
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    return run


def _nothing_saved(folder: Path) -> Path:
    """Make a run without a checkpoint, whose networks would take terabytes."""
    run = small_run(folder / "run")
    shutil.rmtree(run / "checkpoints")
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace("    5,\n", "    1000000000000,\n"))
    return run


def with_partial_encoder(folder: Path) -> Path:
    """Make a run with a partial encoder."""
    run = Run(small_run(folder / "run"))
    whole = run.load_model()
    options = whole, run.config.model, "diagonal"
    made = PartialEncoder.from_config(*options, generator=torch.Generator().manual_seed(1))
    look = Look(step=1, progress=1.0, loss=1.0, is_best=True)
    given = AmortiseConfig(family="diagonal"), look
    partial_encoder_file.write(run.path, whole, made, *given)
    return run.path


def _partial(edit: Callable[[bytes], bytes], folder: Path) -> Path:
    """Make a run with another partial encoder."""
    run = with_partial_encoder(folder)
    file = run / partial_encoder_file.FILE
    file.write_bytes(edit(file.read_bytes()))
    return run


def _sparse_partial(folder: Path) -> Path:
    run = with_partial_encoder(folder)
    os.truncate(run / partial_encoder_file.FILE, 8 << 30)
    return run


PARTIALS: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("nothing", lambda whole: b"", "cannot be read"),
    ("a header of 2^63 bytes", headed(b"{}", bytes(1_000), 2**63), "would be 9,223,372"),
    ("a header, deeply nested", headed(b'{"a":' * 30_000), "nested too deeply"),
    ("a header that is a list", headed(b"[1]"), "it has no manifest"),
    ("a manifest that is a number", headed(b'{"__metadata__": 3}'), "it has no manifest"),
    ("a pickle", lambda whole: b"\x80\x04\x95" + bytes(2_000), "would be"),
    ("more after its end", lambda whole: whole + bytes(10), "not a safetensors file"),
]
LINKS = (
    *("config.toml", "checkpoints", "checkpoints/step-000002", "metrics.jsonl", "figures"),
    *(f"checkpoints/step-000001/{name}" for name in (MODEL, OPTIMISER, MANIFEST)),
    *("evaluation.json", "evaluation.npz", "figures/samples.png", "results.json"),
    "training_values.npz",
)
PLANTED = (
    ".config.toml.part",
    ".metrics.jsonl.part",
    "report.html",
    ".results.json.part",
    "checkpoints/.step-000003.part",
)
PIPES = {
    "config.toml": model,
    "evaluation.json": report,
    "figures/samples.png": report,
    "results.json": report,
}
CASES = [
    *(Case(f"weights {n}", holding(MODEL, edit), model, told) for n, edit, told in WEIGHTS),
    *(Case(f"moments {n}", holding(OPTIMISER, edit), training, told) for n, edit, told in MOMENTS),
    *(Case(f"manifest {n}", holding(MANIFEST, edit), model, told) for n, edit, told in MANIFESTS),
    Case(
        "weights of 8 GiB", _sparse(MODEL), model, "model.safetensors is 8,589,934,592 bytes long"
    ),
    Case("moments of 8 GiB", _sparse(OPTIMISER), model, "is 8,589,934,592 bytes long"),
    Case("weights of 8 GiB, resumed", _sparse(MODEL), training, "is 8,589,934,592 bytes long"),
    Case("weights of 8 GiB, of others", _widened, model, "no checkpoint of"),
    Case("networks of terabytes without a checkpoint", _nothing_saved, model, "it has none yet"),
    *(Case(f"link {name}", partial(_linked, name), Run, "is a symbolic link") for name in LINKS),
    *(Case(f"planted {name}", partial(_planted, name), Run, "symbolic link") for name in PLANTED),
    *(Case(f"pipe {n}", partial(_pipe, n), reader, "a pipe or") for n, reader in PIPES.items()),
    *(Case(f"partial encoder {n}", partial(_partial, e), model, told) for n, e, told in PARTIALS),
    Case("a whole partial encoder", with_partial_encoder, model, ""),
    Case("a partial encoder of 8 GiB", _sparse_partial, model, "is 8,589,934,592 bytes long"),
    Case("a link to a run", _link_to_run, model, ""),
]
