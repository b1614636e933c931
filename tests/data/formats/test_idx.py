import gzip
import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from elboroom import DataConfig
from elboroom.data.formats.idx import load_idx, parse_idx, read_idx
from elboroom.data.formats.registry import read_data
from elboroom.errors import DataError

TYPES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}
GREY = np.random.default_rng(0).integers(0, 256, (20, 6, 5), dtype=np.uint8)
DIGITS = np.arange(20, dtype=np.uint8) % 3


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    header = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@given(hnp.arrays(np.uint8, hnp.array_shapes(max_dims=4, max_side=5)))
def test_parsing_gives_back_the_array_that_was_written(array: np.ndarray):
    parsed = parse_idx(idx(array))
    assert parsed.dtype == np.uint8
    np.testing.assert_array_equal(parsed, array)


@pytest.mark.parametrize(("kind", "number"), TYPES.items())
def test_every_type_of_the_format_is_read(tmp_path: Path, kind: str, number: int):
    array = (9 * np.random.default_rng(0).random((5, 3, 2))).astype(kind)
    (tmp_path / "x.idx").write_bytes(idx(array, number))
    found = load_idx(tmp_path / "x.idx", 1.0)
    assert found.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, array)


@given(st.integers(1, 27))
def test_bytes_cut_off_at_the_end_are_noticed(cut: int):
    content = idx(np.zeros((2, 3, 2), np.uint8))
    with pytest.raises(ValueError, match=r"^its header"):
        parse_idx(content[:-cut])


def test_bytes_too_many_are_noticed():
    with pytest.raises(ValueError, match=r"promises shape \(2, 3\); found 7 bytes"):
        parse_idx(idx(np.zeros((2, 3), np.uint8)) + b"\0")


@pytest.mark.parametrize("header", [b"\0\1\x08\1", b"\1\0\x08\1", b"\0\0\x0a\1"])
def test_another_format_is_noticed(header: bytes):
    with pytest.raises(ValueError, match="not that of an IDX file"):
        parse_idx(header + b"\0\0\0\1\7")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "my.bin"])
def test_a_file_is_read_packed_or_not_under_any_name(tmp_path: Path, pack: Any, name: str):
    (tmp_path / name).write_bytes(pack(idx(GREY)))
    source = read_data(tmp_path / name, DataConfig())
    np.testing.assert_array_equal(source.train.images, GREY[:, None])
    assert (source.white, source.name) == (255, name)


def test_a_folder_as_that_of_mnist_is_read_with_labels_and_test_part(tmp_path: Path):
    (tmp_path / ".DS_Store").touch()
    for part, rows in (("train", slice(0, 15)), ("t10k", slice(15, 20))):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(GREY[rows]))
        labels = gzip.compress(idx(DIGITS[rows]))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(labels)
    source = read_data(tmp_path, DataConfig())
    assert source.test is not None
    np.testing.assert_array_equal(source.train.images, GREY[:15, None])
    np.testing.assert_array_equal(source.test.images, GREY[15:, None])
    assert source.train.labels is not None
    assert source.test.labels is not None
    np.testing.assert_array_equal(source.train.labels, DIGITS[:15])
    np.testing.assert_array_equal(source.test.labels, DIGITS[15:])
    assert source.classes == ("0", "1", "2")
    (tmp_path / "README.txt").write_text("digits")
    with pytest.raises(DataError, match=r"it holds README\.txt beside IDX files"):
        read_data(tmp_path, DataConfig())


def test_a_file_twice_is_refused(tmp_path: Path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(GREY))
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(GREY)))
    with pytest.raises(DataError, match="an IDX file twice, packed and unpacked"):
        read_data(tmp_path, DataConfig())


def test_too_large_a_file_is_refused_by_its_header(tmp_path: Path):
    (tmp_path / "x").write_bytes(idx(GREY))
    with pytest.raises(DataError, match="does not fit into --memory 1e-09"):
        load_idx(tmp_path / "x", 1e-9)


def test_a_file_whose_digest_is_expected_is_read(tmp_path: Path):
    content = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    np.testing.assert_array_equal(
        read_idx(tmp_path / "a.gz", digest(content)), [[0, 1, 2], [3, 4, 5]]
    )


def test_a_changed_pixel_is_refused_and_both_digests_are_named(tmp_path: Path):
    good, bad = idx(np.array([1, 2], np.uint8)), idx(np.array([1, 3], np.uint8))
    (tmp_path / "a.gz").write_bytes(gzip.compress(bad))
    with pytest.raises(DataError) as error:
        read_idx(tmp_path / "a.gz", digest(good))
    assert str(error.value) == (
        "cannot read a.gz\n"
        f"  why: found SHA-256 {digest(bad)}; expected {digest(good)}\n"
        "  fix: reinstall elboroom"
    )


PACKED = gzip.compress(bytes(range(99)))


@pytest.mark.parametrize(
    "content", [b"", b"plain", PACKED[:-9], PACKED[:20] + bytes(9) + PACKED[29:]]
)
def test_a_file_that_gzip_cannot_read_is_a_data_error(tmp_path: Path, content: bytes):
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"^cannot read a\.gz\n  why: .+\n  fix: reinstall"):
        read_idx(tmp_path / "a.gz", digest(b""))


def test_a_missing_file_is_a_data_error(tmp_path: Path):
    with pytest.raises(DataError, match="No such file or directory"):
        read_idx(tmp_path / "a.gz", digest(b""))
