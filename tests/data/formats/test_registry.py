"""Every format that has a name has a reader, and errors list them all."""

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, get_args

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from elboroom import DataConfig, load_data
from elboroom.config import kinds
from elboroom.data.formats.registry import FORMATS, Format, read_data
from elboroom.data.source import Source, SourcePart
from elboroom.errors import DataError

GREY = 11 * np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def example(name: str, folder: Path) -> Path:
    """Write data in a format; only the name of text has an ending."""
    path = folder / ("my.csv" if name == "columns" else "my")
    if name == "folder":
        path.mkdir()
        for number, image in enumerate(GREY):
            Image.fromarray(image).save(path / f"{number}.png")
        return path
    if name == "shards":
        path.mkdir()
        for number, image in enumerate(GREY):
            np.save(path / f"{number}.npy", image[None])
        return path
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    with path.open("w+b") as file:
        WRITE[name](file)
    return path


def write_hdf5(file: BinaryIO) -> None:
    import h5py

    with h5py.File(file, "w") as arrays:
        arrays["x"] = GREY


def write_table(file: BinaryIO) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(
        pa.table({"x": pa.array(GREY.tolist(), pa.list_(pa.list_(pa.uint8())))}), file
    )


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(file: BinaryIO) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for number, image in enumerate(GREY):
            archive.writestr(f"{number}.png", png(image))


def tarred(file: BinaryIO) -> None:
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for number, image in enumerate(GREY):
            info = tarfile.TarInfo(f"{number}.png")
            info.size = len(png(image))
            archive.addfile(info, io.BytesIO(png(image)))


NEEDS = {"columns": "pandas", "hdf5": "h5py", "table": "pyarrow"}


WRITE: dict[str, Callable[[BinaryIO], object]] = {
    "npy": lambda file: np.save(file, GREY),
    "pt": lambda file: torch.save(torch.tensor(GREY), file),
    "columns": lambda file: file.write(b"x,y\n1.5,2\n2.5,3\n,5\n"),
    "zip": zipped,
    "tar": tarred,
    "npz": lambda file: np.savez(file, GREY),
    "mat": lambda file: scipy.io.savemat(file, {"x": GREY}),
    "hdf5": write_hdf5,
    "table": write_table,
    "idx": lambda file: file.write(struct.pack(">HBBIII", 0, 8, 3, *GREY.shape) + GREY.tobytes()),
}


def test_every_name_has_a_format_and_every_format_a_name():
    assert list(FORMATS) == list(kinds.FORMATS) == list(get_args(kinds.FormatName))


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_recognised_by_its_content(name: str, tmp_path: Path):
    path = example(name, tmp_path)
    start = b"" if path.is_dir() else path.read_bytes()[:512]
    assert next(n for n, form in FORMATS.items() if form.recognises(path, start)) == name
    expected = GREY[:, None] if name != "columns" else [[1.5, 2], [2.5, 3], [np.nan, 5]]
    np.testing.assert_array_equal(read_data(path, DataConfig()).train.images, expected)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"\0\1", "its first bytes are of no known format"), (b"", "it is empty")],
)
def test_a_file_of_no_format_is_refused_with_the_list_of_all(
    content: bytes, why: str, tmp_path: Path
):
    (tmp_path / "my.txt").write_bytes(content)
    with pytest.raises(DataError) as error:
        load_data(DataConfig(str(tmp_path / "my.txt")))
    assert error.value.why == why
    for line in kinds.FORMATS.values():
        assert line in error.value.fix


def test_a_new_format_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def read(path: Path, config: DataConfig) -> Source:
        return Source(
            path.name, SourcePart(np.frombuffer(path.read_bytes()[4:], np.uint8).reshape(-1, 2))
        )

    bits = Format(lambda path, start: start.startswith(b"BITS"), read)
    monkeypatch.setitem(FORMATS, "bits", bits)
    (tmp_path / "my.bits").write_bytes(b"BITS" + bytes([0, 1] * 20))
    data = load_data(DataConfig(str(tmp_path / "my.bits")))
    assert data.train.x.tolist() == [[0.0, 1.0]] * 18
    assert data.identity.source == "my.bits"
