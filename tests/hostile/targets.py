"""Readers of files that are mutated: whole files to begin with, and what is true of all others.

A reader refuses a file by an `ElboroomError`; what it makes of one that it takes is of the right
types. Anything else is a fault.
"""

import gzip
import hashlib
import io
import json
import shutil
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import scipy.io
import torch
from PIL import Image

from elboroom import VAE, DataConfig, from_pretrained
from elboroom.config import BinarisationName
from elboroom.data.formats.folder import read_folder
from elboroom.data.formats.idx import read_idx
from elboroom.data.formats.packed import as_packed
from elboroom.data.formats.packed_rows import PackedRows, rows_file
from elboroom.data.formats.picture_event import read_event
from elboroom.data.formats.pictures import Recipe
from elboroom.data.formats.registry import read_data
from elboroom.data.masks import load_mask
from elboroom.data.source import Source
from elboroom.errors import ElboroomError
from elboroom.model.fingerprint import fingerprint
from elboroom.runs.checkpoints import manifest
from elboroom.runs.out_file import npz
from elboroom.runs.partial_encoder_file import FILE as PARTIAL_ENCODER
from elboroom.runs.partial_encoder_file import read_manifest
from elboroom.runs.run import Run
from elboroom.training.state import EpochMetrics
from tests.hostile import hub
from tests.hostile.runs import MANIFEST, MODEL, OPTIMISER, sign, training, with_partial_encoder
from tests.hostile.tables import history, model, report
from tests.support.small_run import small_run

GREY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
LABELS = np.arange(2)
IDX2 = b"\0\0\x08\x02" + struct.pack(">II", 4, 6) + GREY.tobytes()
IDX3 = b"\0\0\x0b\x03" + struct.pack(">III", 2, 3, 4) + GREY.astype(">i2").tobytes()
IDX = b"\0\0\x08\x01" + struct.pack(">I", 24) + GREY.tobytes()
STEP = "checkpoints/step-000002"
Read = Callable[[bytes], Any]
_WAYS: tuple[BinarisationName, ...] = ("auto", "none", "threshold")


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        seeds: whole files, by name.
        reader: makes it, in an empty folder.
    """

    seeds: dict[str, bytes]
    reader: Callable[[Path], Read]


def require(is_right: bool, found: Any) -> None:
    """That what was read is of the right types."""
    assert is_right, found


def _saved(save: Callable[..., Any], *arrays: Any, **named: Any) -> bytes:
    buffer = io.BytesIO()
    save(buffer, *arrays, **named)
    return buffer.getvalue()


def _picture(mode: str, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    levels = GREY[0].astype(np.uint16) << 12 if mode == "I;16" else 20 * GREY[0]
    Image.fromarray(levels).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def _zip_of_pictures() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, picture in enumerate(_KINDS.values()):
            archive.writestr(f"my/{number % 2}/{number}.jpg", picture)
    return buffer.getvalue()


def _tar_of_pictures(mode: Literal["w", "w:gz"]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for number, picture in enumerate(_KINDS.values()):
            info = tarfile.TarInfo(f"my/{number % 2}/{number}.jpg")
            info.size = len(picture)
            archive.addfile(info, io.BytesIO(picture))
    return buffer.getvalue()


def _arrays(folder: Path) -> Read:
    path = folder / "my.npy"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        refusals = [_refusal(path, *how) for how in product((0.0, 2.0), _WAYS)]
        if all(refusals):
            raise refusals[0]

    return read


def _refusal(path: Path, memory: float, how: BinarisationName) -> ElboroomError | None:
    try:
        source = read_data(path, DataConfig(binarisation=how, memory=memory))
        _ = source.has_missing, source.sha256
    except ElboroomError as error:
        return error
    require(_is_source(source), source)
    return None


def _is_source(found: Source) -> bool:
    kinds = (np.uint8, np.float32)
    images = found.train.images
    right = found.mapped or images.dtype in kinds
    return right and images.ndim in (2, 4) and found.white in (1.0, 255.0)


def _mat(packed: bool) -> bytes:
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, {"x": GREY, "y": LABELS, "mask": GREY > 3}, do_compression=packed)
    return buffer.getvalue()


def _pt(value: Any) -> bytes:
    named = value if isinstance(value, dict) else {"": value}
    tensors = {name: torch.tensor(array) for name, array in named.items()}
    buffer = io.BytesIO()
    torch.save(tensors if isinstance(value, dict) else tensors[""], buffer)
    return buffer.getvalue()


def _hdf5(**options: Any) -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("images", data=GREY, **options)
        file["labels"] = ["a", "b"]
    return buffer.getvalue()


def _seeds_of_hdf5() -> dict[str, bytes]:
    """Return whole HDF5 files; none without its library."""
    if find_spec("h5py") is None:
        return {}
    return {"one piece": _hdf5(), "packed": _hdf5(chunks=(1, 3, 4), compression="gzip")}


def _seeds_of_tables() -> dict[str, bytes]:
    """Return whole tables of numbers, of lists and of pictures; none without their library."""
    if find_spec("pyarrow") is None:
        return {}
    import pyarrow as pa
    from pyarrow import feather, parquet

    import elboroom.data.formats.table_pictures  # noqa: F401  # else the first read would load it

    picture = pa.array([{"bytes": _picture("L"), "path": f"{n}.png"} for n in range(3)])
    pictures = pa.table({"image": picture, "label": ["a", "b", "a"]})
    lists = pa.table({"x": pa.array(GREY.tolist()), "label": [0, 1]})
    numbers = pa.table({"a": [1.0, 2.0, None], "b": [1, 2, 3]})
    return {
        "pictures": _saved(lambda file, table: parquet.write_table(table, file), pictures),
        "lists": _saved(lambda file, table: parquet.write_table(table, file), lists),
        "numbers": _saved(lambda file, table: feather.write_feather(table, file), numbers),
    }


def _pickle_of_pt() -> bytes:
    with zipfile.ZipFile(io.BytesIO(_pt({"x": GREY}))) as archive:
        return archive.read("archive/data.pkl")


def _pickled(folder: Path) -> Read:
    """Return a reader of the pickle of a `.pt` whose zip is whole."""
    read = _arrays(folder)
    whole = zipfile.ZipFile(io.BytesIO(_pt({"x": GREY})))
    members = {name: whole.read(name) for name in whole.namelist()}

    def packed(content: bytes) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, values in (members | {"archive/data.pkl": content}).items():
                archive.writestr(name, values)
        read(buffer.getvalue())

    return packed


def _texts(folder: Path) -> Read:
    """Return a reader of text, which is always refused; the whole files are read in its place."""
    read = _arrays(folder)

    def refused(content: bytes) -> None:
        try:
            read(content)
        except ElboroomError:
            return

    return refused


def _packed_rows() -> bytes:
    """Rows of the packed array GREY, of two classes."""
    rows = PackedRows(
        parts={"train": 1, "test": 1},
        files=("a/1.png", "b/1.png"),
        labels=LABELS,
        classes=("a", "b"),
        recipe='{"size": null, "crop": "centre", "colour": "auto", "background": "white"}',
        sha256=hashlib.sha256(GREY.tobytes()).hexdigest(),
    )
    return npz(rows.arrays())


def _rows_beside(folder: Path) -> Read:
    """The rows beside a packed array that is whole."""
    path = folder / "x.npy"
    np.save(path, GREY[:, None])

    def read(content: bytes) -> None:
        rows_file(path).write_bytes(content)
        found = read_data(path, DataConfig(binarisation="none"))
        require(_is_source(found) and len(found.parts) == 2, found)
        assert found.test is not None
        labels = found.train.labels is None or found.train.labels.dtype == np.int64
        require(labels and len(found.test.files or ()) == 1, found)
        as_packed(DataConfig(str(path)))

    return read


def _member(folder: Path) -> Read:
    """An array that a true `.npz` holds."""
    read = _arrays(folder)

    def packed(content: bytes) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("images.npy", content)
        read(buffer.getvalue())

    return packed


def _masks(folder: Path) -> Read:
    path = folder / "m.npy"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        mask = load_mask(str(path), GREY.shape)
        require(mask.shape == GREY.shape and mask.sum() <= GREY.size, mask)

    return read


def _pictures(seal: Callable[[bytes], bytes], folder: Path) -> Read:
    path = folder / "x.png"

    def read(content: bytes) -> None:
        path.write_bytes(seal(content))
        found = read_event(path, Recipe.of(DataConfig()), (1, 3, 4)).values
        require(found.dtype == np.uint8 and found.shape == (1, 3, 4), found)

    return read


def _folder(seal: Callable[[bytes], bytes], place: Path) -> Read:
    """A picture of a class that is the only one, and one that has another beside it."""
    classes = [place / "alone" / "class", place / "beside" / "class"]
    for pictures in classes:
        pictures.mkdir(parents=True)
    (classes[1] / "y.png").write_bytes(_picture("L"))

    def read(content: bytes) -> None:
        refusals = list[ElboroomError]()
        for pictures in classes:
            (pictures / "x.png").write_bytes(seal(content))
            try:
                found = read_folder(pictures.parent, DataConfig(binarisation="none"))
                require(_is_source(found), found)
            except ElboroomError as error:
                refusals.append(error)
        if len(refusals) == len(classes):
            raise refusals[0]

    return read


def _sealed(content: bytes) -> bytes:
    """The same picture, with true checksums where it has chunks."""
    sealed, at = bytearray(content), 8
    while at + 12 <= len(sealed):
        end = at + 8 + struct.unpack_from(">I", sealed, at)[0]
        if end + 4 > len(sealed):
            break
        struct.pack_into(">I", sealed, end, zlib.crc32(sealed[at + 4 : end]))
        at = end + 4
    return bytes(sealed)


def _packed_idx(folder: Path) -> Read:
    """A `.gz` of an IDX file that is known: none but it may be taken."""
    path, digest = folder / "x.gz", hashlib.sha256(IDX).hexdigest()

    def read(content: bytes) -> None:
        path.write_bytes(content)
        require(read_idx(path, digest).tobytes() == IDX[8:], content)

    return read


def _run(folder: Path) -> Path:
    """Make a run with one checkpoint, once per folder."""
    run = folder / "run"
    if not run.exists():
        shutil.rmtree(small_run(run) / "checkpoints" / "step-000001")
    return run


def _digested(content: bytes) -> bytes:
    """Return a manifest with a matching hash of itself, if it has the fields of one."""
    try:
        found = json.loads(content)
        return manifest.encode(found["step"], found["held_out_elbo"], found["files"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return content


def _of_run(
    name: str,
    read: Callable[[Path], Any],
    check: Callable[[Any], bool],
    seal: Callable[[bytes], bytes],
    folder: Path,
) -> Read:
    """Return a reader of a run that has a mutated file."""
    run = _run(folder)

    def of_run(content: bytes) -> None:
        (run / name).write_bytes(seal(content))
        found = read(run)
        require(check(found), found)

    return of_run


def _unsigned(name: str, folder: Path) -> Read:
    """Return a reader of tensors that do not match their manifest; it may only take whole ones."""
    path = _run(folder) / STEP / name
    whole = path.read_bytes()

    def read(content: bytes) -> None:
        path.write_bytes(content)
        training(_run(folder))
        require(content == whole, "it does not match its manifest, and is used")

    return read


def _signed(name: str, folder: Path) -> Read:
    """Return a reader of tensors whose manifest matches them."""
    run = _run(folder)
    step = run / STEP
    expected = _shapes(Run(run).load_model())

    def read(content: bytes) -> None:
        (step / name).write_bytes(content)
        sign(step)
        require(_shapes(training(run)[0]) == expected, "weights of other shapes are used")

    return read


def _of_partial_encoder(folder: Path) -> Read:
    """Return a reader of a partial encoder; it may only take whole weights."""
    run = with_partial_encoder(folder)
    path = run / PARTIAL_ENCODER

    def read(content: bytes) -> None:
        path.write_bytes(content)
        with warnings.catch_warnings(action="ignore"):  # of other weights
            found = model(run).partial_encoder
        taken = found is None or fingerprint(found.module) == read_manifest(path).weights
        require(taken, "weights that do not match their fingerprint are used")

    return read


def _partial_encoder() -> bytes:
    with TemporaryDirectory() as folder:
        return (with_partial_encoder(Path(folder)) / PARTIAL_ENCODER).read_bytes()


def _of_hub(name: str, seal: Callable[[Path], None], folder: Path) -> Read:
    """Return a reader of a published model that has a mutated file."""
    path = hub.published(folder)
    expected = from_pretrained(path)

    def read(content: bytes) -> None:
        (path / name).write_bytes(content)
        seal(path)
        with warnings.catch_warnings(action="ignore"):  # of a partial encoder of other weights
            found = from_pretrained(path)
        require(_shapes(found) == _shapes(expected), "weights of other shapes are used")
        is_whole = fingerprint(found) == fingerprint(expected)
        require(is_whole or seal is hub.signed, "weights that do not match their hash are used")

    return read


def _as_is(path: Path) -> None:
    """Leave the other files of a published model as they are."""


def _of_published(name: str) -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        return {"whole": (hub.published(Path(folder)) / name).read_bytes()}


def _shapes(model: VAE) -> dict[str, Any]:
    return {name: (t.shape, t.dtype) for name, t in model.state_dict().items()}


def _is_history(found: list[EpochMetrics]) -> bool:
    return all(type(m.epoch) is int and isinstance(m.elbo, int | float) for m in found)


def _is_model(found: Any) -> bool:
    return isinstance(found, VAE)


def _target(
    name: str,
    read: Callable[[Path], Any],
    check: Callable[[Any], bool],
    seal: Callable[[bytes], bytes] = bytes,
) -> Target:
    return Target(_of_template(name), partial(_of_run, name, read, check, seal))


def _of_template(name: str) -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        return {"whole": (_run(Path(folder)) / name).read_bytes()}


_ARRAYS = {
    "bytes": _saved(np.save, GREY),
    "floats": _saved(np.save, GREY / 23),
    "halves": _saved(np.save, (GREY / 23).astype(np.float16)),
    "bools": _saved(np.save, GREY > 9),
    "Fortran": _saved(np.save, np.asfortranarray(GREY)),
}
_ARCHIVES = {
    "stored": _saved(np.savez, images=GREY, labels=np.arange(2), mask=GREY > 3),
    "deflated": _saved(np.savez_compressed, x_train=GREY, x_test=GREY, y_test=np.arange(2)),
}
_PICTURES = {mode: _picture(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")}
_EXIF = Image.Exif()
_EXIF[0x0112] = 3
_KINDS = {
    "JPEG": _picture("RGB", "JPEG", exif=_EXIF),
    "progressive": _picture("L", "JPEG", progressive=True),
    "CMYK": _picture("CMYK", "JPEG"),
    "GIF": _picture("P", "GIF", save_all=True, append_images=[Image.new("P", (4, 3), 1)]),
    "BMP": _picture("P", "BMP"),
    "TIFF": _picture("RGB", "TIFF", exif=_EXIF),
    "16 bits": _picture("I;16", "TIFF", compression="tiff_lzw"),
    "bits": _picture("1", "TIFF", compression="group4"),
    "JPEG in TIFF": _picture("RGB", "TIFF", compression="jpeg"),
    "WebP": _picture("RGBA", "WEBP", lossless=True),
    "lossy": _picture("RGB", "WEBP", exif=_EXIF),
}
_WEIGHTS, _MOMENTS = _of_template(f"{STEP}/{MODEL}"), _of_template(f"{STEP}/{OPTIMISER}")
TARGETS_OF_EXTRAS = {
    "HDF5": Target(_seeds_of_hdf5(), _arrays),
    "tables": Target(_seeds_of_tables(), _arrays),
}
TARGETS = {
    **{name: target for name, target in TARGETS_OF_EXTRAS.items() if target.seeds},
    ".npy": Target(_ARRAYS, _arrays),
    ".npz": Target(_ARCHIVES, _arrays),
    "an array within a .npz": Target(_ARRAYS, _member),
    "the rows of a packed array": Target({"whole": _packed_rows()}, _rows_beside),
    "a mask": Target({"bools": _ARRAYS["bools"]}, _masks),
    "IDX": Target({"vectors": IDX2, "images": IDX3, "packed": gzip.compress(IDX2)}, _arrays),
    ".mat": Target({"stored": _mat(False), "packed": _mat(True)}, _arrays),
    ".pt": Target({"tensor": _pt(GREY), "dict": _pt({"x": GREY, "y": LABELS})}, _arrays),
    "the pickle of a .pt": Target({"dict": _pickle_of_pt()}, _pickled),
    "text": Target({"csv": b"a,b\n1,2\n3,4\n", "json": b"[[1, 2], [3, 4]]"}, _texts),
    "packed IDX": Target({"whole": gzip.compress(IDX)}, _packed_idx),
    "PNG": Target(_PICTURES, partial(_pictures, bytes)),
    "PNG with true checksums": Target(_PICTURES, partial(_pictures, _sealed)),
    "other pictures": Target(_KINDS, partial(_pictures, bytes)),
    "an archive of pictures": Target(
        {
            "zip": _zip_of_pictures(),
            "tar": _tar_of_pictures("w"),
            "packed": _tar_of_pictures("w:gz"),
        },
        _arrays,
    ),
    "a folder of PNG": Target(_PICTURES, partial(_folder, _sealed)),
    "config.toml": _target("config.toml", model, _is_model),
    "metrics.jsonl": _target("metrics.jsonl", history, _is_history),
    "evaluation.json": _target(
        "evaluation.json", report, lambda page: page.startswith("<!doctype html>")
    ),
    "results.json": _target(
        "results.json", report, lambda page: page.startswith("<!doctype html>")
    ),
    MANIFEST: _target(f"{STEP}/{MANIFEST}", model, _is_model),
    f"{MANIFEST} with a true digest": _target(f"{STEP}/{MANIFEST}", model, _is_model, _digested),
    MODEL: Target(_WEIGHTS, partial(_unsigned, MODEL)),
    OPTIMISER: Target(_MOMENTS, partial(_unsigned, OPTIMISER)),
    PARTIAL_ENCODER: Target({"whole": _partial_encoder()}, _of_partial_encoder),
    f"{MODEL} with a true manifest": Target(_WEIGHTS, partial(_signed, MODEL)),
    f"{OPTIMISER} with a true manifest": Target(_MOMENTS, partial(_signed, OPTIMISER)),
    "a published config": Target(_of_published(hub.CONFIG), partial(_of_hub, hub.CONFIG, _as_is)),
    "published weights": Target(_of_published(MODEL), partial(_of_hub, MODEL, _as_is)),
    "published weights with a true hash": Target(
        _of_published(MODEL), partial(_of_hub, MODEL, hub.signed)
    ),
}
