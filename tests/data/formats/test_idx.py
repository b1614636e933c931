import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from elboroom.data.formats.idx import parse_idx, read_idx
from elboroom.errors import DataError

PATH = Path("train-images.gz")


def idx(array: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@given(hnp.arrays(np.uint8, hnp.array_shapes(max_dims=4, max_side=5)))
def test_parsing_gives_back_the_array_that_was_written(array: np.ndarray):
    parsed = parse_idx(idx(array), PATH)
    assert parsed.dtype == np.uint8
    np.testing.assert_array_equal(parsed, array)


@given(st.integers(1, 27))
def test_bytes_cut_off_at_the_end_are_noticed(cut: int):
    content = idx(np.zeros((2, 3, 2), np.uint8))
    with pytest.raises(DataError, match=r"^cannot read train-images\.gz\n  why: its header"):
        parse_idx(content[:-cut], PATH)


def test_bytes_too_many_are_noticed():
    with pytest.raises(DataError, match=r"promises shape \(2, 3\); found 7 bytes"):
        parse_idx(idx(np.zeros((2, 3), np.uint8)) + b"\0", PATH)


@pytest.mark.parametrize("header", [b"\0\1\x08\1", b"\1\0\x08\1", b"\0\0\x0d\1"])
def test_another_format_is_noticed(header: bytes):
    with pytest.raises(DataError, match="not that of an IDX file of unsigned bytes"):
        parse_idx(header + b"\0\0\0\1\7", PATH)


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
