"""Whole files with bits flipped, bytes cut out, put in or swapped: what is read of them is of the
right types, or they are refused.
"""

import io
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from elboroom import VAE
from elboroom.data.arrays import read_array
from elboroom.data.folder import read_folder
from elboroom.data.masks import load_mask
from elboroom.data.pictures import read_picture
from elboroom.data.source import Source
from elboroom.errors import ElboroomError
from elboroom.runs import Run
from elboroom.training import EpochMetrics
from hostile_runs import MANIFEST, MODEL, OPTIMISER, sign, training
from hostile_tables import history, model, report
from small_run import small_run

GREY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
TOKENS = [
    b"0",
    b"9" * 30,
    b"-",
    b"true",
    b"[",
    b"{",
    b'"',
    b"'",
    b"\n",
    b"NaN",
    b"\x00",
    b"=",
    b".",
]


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """`whole` after one to three accidents."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        kind = draw(st.sampled_from(["flip", "byte", "cut", "remove", "insert", "token", "repeat"]))
        if kind == "flip" and content:
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte" and content:
            content[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del content[at:]
        elif kind == "remove":
            del content[at : at + draw(st.integers(1, 9))]
        elif kind == "insert":
            content[at:at] = draw(st.binary(min_size=1, max_size=9))
        elif kind == "token":
            content[at:at] = draw(st.sampled_from(TOKENS))
        else:
            content[at:at] = content[at : at + draw(st.integers(1, 99))]
    return bytes(content)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutated")


def survives(read: Callable[[], Any], is_right: Callable[[Any], bool]) -> bool:
    """Whether a file was read; anything but a clear error, or a wrong type, is a failure."""
    try:
        found = read()
    except ElboroomError:
        return False
    assert is_right(found), found
    return True


def saved(save: Callable[..., Any], *arrays: Any, **named: Any) -> bytes:
    buffer = io.BytesIO()
    save(buffer, *arrays, **named)
    return buffer.getvalue()


def png(mode: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(GREY[0]).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def is_source(found: Source) -> bool:
    kinds = (np.uint8, np.float32)
    right = found.mapped or found.images.dtype in kinds
    return right and found.images.ndim in (2, 4) and found.white in (1.0, 255.0)


def is_picture(found: np.ndarray) -> bool:
    return found.dtype == np.float32 and found.shape == (1, 3, 4) and 0 <= found.min() <= 1


ARRAYS = {
    "bytes": saved(np.save, GREY),
    "floats": saved(np.save, GREY / 23),
    "halves": saved(np.save, (GREY / 23).astype(np.float16)),
    "bools": saved(np.save, GREY > 9),
    "Fortran": saved(np.save, np.asfortranarray(GREY)),
    "stored": saved(np.savez, images=GREY, labels=np.arange(2), mask=GREY > 3),
    "deflated": saved(np.savez_compressed, x_train=GREY, x_test=GREY, y_test=np.arange(2)),
}


@pytest.mark.parametrize("kind", ARRAYS)
@given(data=st.data(), memory=st.sampled_from([0.0, 2.0]), real=st.booleans())
@settings(max_examples=60)
def test_arrays(folder: Path, kind: str, data: st.DataObject, memory: float, real: bool):
    path = folder / "my.npy"
    path.write_bytes(data.draw(mutated(ARRAYS[kind])))

    def read() -> Source:
        source = read_array(path, memory=memory, real=real)
        _ = source.has_gaps, source.sha256
        return source

    survives(read, is_source)


@given(data=st.data())
@settings(max_examples=60)
def test_masks(folder: Path, data: st.DataObject):
    path = folder / "m.npy"
    path.write_bytes(data.draw(mutated(ARRAYS["bools"])))
    read = partial(load_mask, str(path), GREY.shape)
    survives(read, lambda mask: mask.shape == GREY.shape and mask.sum() <= GREY.size)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@given(data=st.data())
@settings(max_examples=50)
def test_pictures(folder: Path, mode: str, data: st.DataObject):
    path = folder / "x.png"
    path.write_bytes(data.draw(mutated(png(mode))))
    survives(partial(read_picture, path, (1, 3, 4)), is_picture)


@pytest.mark.parametrize("mode", ["1", "LA", "P", "RGB", "I;16"])
@given(data=st.data(), beside=st.booleans())
@settings(max_examples=50)
def test_folders_of_pictures(folder: Path, mode: str, data: st.DataObject, beside: bool):
    pictures = folder / f"with {beside}" / "class"
    pictures.mkdir(parents=True, exist_ok=True)
    (pictures / "x.png").write_bytes(data.draw(mutated(png(mode))))
    if beside:
        (pictures / "y.png").write_bytes(png("L"))
    survives(partial(read_folder, pictures.parent, memory=2.0), is_source)


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    run = small_run(folder / "run")
    shutil.rmtree(run / "checkpoints" / "step-000001")
    return run


def mutate(run: Path, name: str, data: st.DataObject, read: Callable[[], bool]) -> None:
    """Read a run while one of its files is mutated."""
    path = run / name
    whole = path.read_bytes()
    try:
        path.write_bytes(data.draw(mutated(whole)))
        read()
    finally:
        path.write_bytes(whole)


def is_history(found: list[EpochMetrics]) -> bool:
    return all(type(m.epoch) is int and isinstance(m.elbo, int | float) for m in found)


READERS: dict[str, tuple[Callable[[Path], Any], Callable[[Any], bool]]] = {
    "config.toml": (model, lambda found: isinstance(found, VAE)),
    "metrics.jsonl": (history, is_history),
    "evaluation.json": (report, lambda page: page.startswith("<!doctype html>")),
    f"checkpoints/step-000002/{MANIFEST}": (model, lambda found: isinstance(found, VAE)),
}


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@settings(max_examples=80)
def test_tables(run: Path, name: str, data: st.DataObject):
    read, is_right = READERS[name]
    mutate(run, name, data, lambda: survives(partial(read, run), is_right))


@pytest.mark.parametrize("name", [MODEL, OPTIMISER])
@given(data=st.data())
@settings(max_examples=50)
def test_a_mutated_file_of_tensors_is_never_used(run: Path, name: str, data: st.DataObject):
    path = run / "checkpoints" / "step-000002"
    whole = (path / name).read_bytes()

    def read() -> bool:
        if (path / name).read_bytes() == whole:
            return True
        assert not survives(partial(training, run), lambda found: True)
        return False

    mutate(run, f"checkpoints/step-000002/{name}", data, read)


@pytest.mark.parametrize("name", [MODEL, OPTIMISER])
@given(data=st.data())
@settings(max_examples=50)
def test_a_mutated_file_of_tensors_with_a_true_manifest_is_of_the_right_shapes(
    run: Path, name: str, data: st.DataObject
):
    path = run / "checkpoints" / "step-000002"
    expected = {n: (t.shape, t.dtype) for n, t in Run(run).load_model().state_dict().items()}

    def is_right(found: Any) -> bool:
        return {n: (t.shape, t.dtype) for n, t in found[0].state_dict().items()} == expected

    def read() -> bool:
        sign(path)
        return survives(partial(training, run), is_right)

    mutate(run, f"checkpoints/step-000002/{name}", data, read)
    sign(path)
