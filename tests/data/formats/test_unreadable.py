"""Files that are not read are named for what they are, and the fix makes a file that is read."""

import codecs
import gzip
import io
import json
import pickle
import shlex
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from PIL import Image

from elboroom import DataConfig
from elboroom.data.formats.registry import read_data
from elboroom.errors import DataError

TABLE = np.array([[0.5, -2.0, 7.0], [1.5, 3.0, 9.25], [0.0, 1.0, 2.0]])
COUNTS = np.random.default_rng(0).poisson(0.5, (9, 7))


def refusal(path: Path, **options: Any) -> list[str]:
    with pytest.raises(DataError) as error:
        read_data(path, DataConfig(**options))
    assert error.value.what == f"cannot read {path} as data"
    return [error.value.why, error.value.fix]


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, TABLE)
    return buffer.getvalue()


def text(delimiter: str, header: str = "") -> bytes:
    lines = [delimiter.join(map(str, row)) for row in TABLE.tolist()]
    return "\n".join([*([header] if header else []), *lines, ""]).encode()


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"x")
    return buffer.getvalue()


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, kind)
    return buffer.getvalue()


CONVERTED: dict[str, tuple[bytes, str]] = {
    "t": (text(","), "a CSV table"),
    "semicolons.txt": (text(";"), "a CSV table"),
    "tabs.txt": (text("\t"), "a TSV table"),
    "quoted.txt": (text('","').replace(b"\n", b'"\n"')[:-1].join([b'"', b""]), "a CSV table"),
    "decimal commas.txt": (text(";").replace(b".", b","), "a CSV table"),
    "decimal commas.tabs": (text("\t").replace(b".", b","), "a TSV table"),
    "mark.txt": (codecs.BOM_UTF8 + text(","), "a CSV table"),
    "t.amat": (text(" "), "a text of numbers"),
    "t.json": (json.dumps(TABLE.tolist()).encode(), "a JSON file"),
    "t.pkl": (pickle.dumps(TABLE), "a pickle, whose code would run"),
    "list.pickle": (pickle.dumps(TABLE.tolist(), 2), "a pickle, whose code would run"),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_the_line_that_the_fix_gives_converts_the_file(tmp_path: Path, name: str):
    content, kind = CONVERTED[name]
    (tmp_path / name).write_bytes(content)
    why, fix = refusal(tmp_path / name)
    assert why == f"it is {kind}"
    converts(tmp_path / name, fix.removeprefix("if you trust it, "))


def converts(path: Path, line: str) -> None:
    program, _, code = shlex.split(line.split("; text and empty cells")[0])
    assert program == "python"
    exec(compile(code, "<fix>", "exec"), {})
    source = read_data(path.with_suffix(".npy"), DataConfig())
    np.testing.assert_array_equal(source.train.images, TABLE.astype(np.float32))


@pytest.mark.parametrize(("name", "delimiter"), [("t.csv", ","), ("u.csv", ";"), ("t.tsv", "\t")])
def test_a_table_without_names_is_refused_with_both_ways_out(
    tmp_path: Path, name: str, delimiter: str
):
    (tmp_path / name).write_bytes(text(delimiter))
    why, fix = refusal(tmp_path / name)
    assert why == "its first line holds numbers; expected the names of the columns"
    names, _, line = fix.partition("; or ")
    assert names.startswith("write a first line of names, such as x1,x2")
    converts(tmp_path / name, line)


@pytest.mark.parametrize(
    ("content", "kind", "suffix"),
    [
        (text(",", "age,rate,x"), "a CSV table", ".csv"),
        (text(";", "age;rate;x"), "a CSV table", ".csv"),
        (text(",", '"age, years",rate,x'), "a CSV table", ".csv"),
        (text("\t", "age\trate\tx"), "a TSV table", ".tsv"),
    ],
)
def test_a_table_with_names_is_read_when_it_is_renamed(
    tmp_path: Path, content: bytes, kind: str, suffix: str
):
    (tmp_path / "my t").write_bytes(content)
    why, fix = refusal(tmp_path / "my t")
    assert why == f"it is {kind}"
    assert fix == f"rename it to 'my t{suffix}', by which it is read as a table of columns"
    (tmp_path / "my t").rename(tmp_path / f"my t{suffix}")
    source = read_data(tmp_path / f"my t{suffix}", DataConfig())
    np.testing.assert_array_equal(source.train.images, TABLE.astype(np.float32))


def test_an_empty_cell_becomes_nan_as_the_fix_says(tmp_path: Path):
    (tmp_path / "t").write_text("0,20,.1\n1,,.2\n")
    _, fix = refusal(tmp_path / "t")
    assert fix.endswith("; text and empty cells become NaN")
    exec(shlex.split(fix.split("; text and")[0])[2], {})
    np.testing.assert_array_equal(np.load(tmp_path / "t.npy"), [[0, 20, 0.1], [1, np.nan, 0.2]])


def test_a_packed_npy_is_unpacked_by_the_fix(tmp_path: Path):
    (tmp_path / "my t.npy.gz").write_bytes(gzip.compress(npy()))
    why, fix = refusal(tmp_path / "my t.npy.gz")
    assert why == "it is a .npy packed by gzip"
    subprocess.run(shlex.split(fix), check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "my t.npy"), TABLE)


def test_a_text_of_excel_is_in_utf_8_by_the_fix(tmp_path: Path):
    (tmp_path / "t.txt").write_text(text(",").decode(), "utf-16")
    why, fix = refusal(tmp_path / "t.txt")
    assert why == "it is a text in UTF-16"
    exec(shlex.split(fix)[2], {})
    assert (tmp_path / "t.txt").read_bytes() == text(",")


def test_an_old_pt_is_saved_anew_by_the_fix(tmp_path: Path):
    path = tmp_path / "t.pt"
    torch.save(torch.tensor(TABLE), path, _use_new_zipfile_serialization=False)
    why, fix = refusal(path)
    assert why == "it is a .pt that PyTorch before 1.6 wrote"
    exec(shlex.split(fix)[2], {})
    np.testing.assert_array_equal(read_data(path, DataConfig()).train.images, np.float32(TABLE))


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr"])
def test_a_sparse_matrix_is_named(tmp_path: Path, kind: str):
    matrix = getattr(scipy.sparse, f"{kind}_matrix")(COUNTS)
    scipy.sparse.save_npz(tmp_path / "my.npz", matrix)
    why, fix = refusal(tmp_path / "my.npz")
    assert why == "it is a sparse matrix of scipy"
    assert "scipy.sparse.load_npz('my.npz').toarray().astype('float32')" in fix


NAMED: dict[str, tuple[bytes, str, str]] = {
    "x.feather": (b"FEA1\0\0", "a Feather table of version 1", "pandas.read_feather"),
    "x.sqlite": (b"SQLite format 3\0" + bytes(99), "a SQLite database", "pandas.read_sql"),
    "x.zip": (zipped("[Content_Types].xml"), "an Excel workbook", "rename it to"),
    "x.xls": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old or an encrypted Excel workbook",
        "save it as .xlsx",
    ),
    "x.png": (picture("PNG"), "a single PNG picture", "give the folder that holds"),
    "x.jpg": (picture("JPEG"), "a single JPEG picture", "give the folder that holds"),
    "x.bmp": (picture("BMP"), "a single BMP picture", "give the folder that holds"),
    "x.gif": (picture("GIF"), "a single GIF picture", "give the folder that holds"),
    "x.webp": (picture("WEBP"), "a single WebP picture", "give the folder that holds"),
    "x.tif": (picture("TIFF"), "a TIFF picture", "ImageSequence"),
    "x.sav": (b"$FL2@(#) SPSS DATA FILE", "an SPSS table", "pandas.read_spss"),
    "x.dta": (b"<stata_dta><header>", "a Stata table", "pandas.read_stata"),
    "x.rds": (gzip.compress(b"X\n\0\0\0\3"), "an R file", "write.csv"),
    "x.lfs": (
        b"version https://git-lfs.github.com/spec/v1\n",
        "a pointer of Git LFS, not the file itself",
        "lfs pull",
    ),
    "x.jsonl": (b'{"a": 1}\n{"a": 2}\n', "JSON lines", "lines=True"),
    "x.json": (b'[{"a": 1}, {"a": 2}]', "a JSON table", "pandas.read_json"),
    "x.arff": (b"@relation r\n@data\n1,2\n", "a text", "numpy.save"),
    "x.fits": (b"SIMPLE  =                    T", "a FITS file", "fits.getdata"),
    "x.nii": (bytes(344) + b"n+1\0", "a NIfTI volume", "nibabel.load"),
    "x.dcm": (bytes(128) + b"DICM", "a DICOM picture", "pydicom.dcmread"),
    "x.wav": (b"RIFF\0\0\0\0WAVEfmt ", "a WAV sound", "scipy.io.wavfile"),
    "x.csv.gz": (gzip.compress(text(",")), "a file packed by gzip", "gunzip"),
    "x.bz2": (b"BZh91AY&SY", "a file packed by bzip2", "bunzip2"),
    "x.xz": (b"\xfd7zXZ\0\0", "a file packed by xz", "unxz"),
    "x.zst": (b"\x28\xb5\x2f\xfd\0", "a file packed by Zstandard", "unzstd"),
    "x.7z": (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it"),
    "x.nc": (b"CDF\x01" + bytes(99), "a netCDF file", "scipy.io.netcdf_file"),
    "x.pgm": (b"P5\n4 4\n255\n" + bytes(16), "a single PNM picture", "give the folder that holds"),
    "x.npz": (b"\n<!DOCTYPE html><html>", "a web page, not the file that it links to", "download"),
}


@pytest.mark.parametrize("rename", [str, lambda name: "data"])
@pytest.mark.parametrize("name", NAMED)
def test_a_file_is_named_by_its_first_bytes(
    tmp_path: Path, name: str, rename: Callable[[str], str]
):
    content, kind, part = NAMED[name]
    path = tmp_path / rename(name)
    path.write_bytes(content)
    why, fix = refusal(path)
    assert why == f"it is {kind}"
    assert part in fix
    assert "{" not in fix.replace("{k: numpy.array", "")


def test_an_anndata_file_is_named_by_its_name(tmp_path: Path):
    (tmp_path / "x.h5ad").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99))
    why, fix = refusal(tmp_path / "x.h5ad")
    assert why == "it is an AnnData file"
    assert "anndata.read_h5ad" in fix


@pytest.mark.parametrize(
    ("array", "fix"),
    [
        (np.array([[1.0, 2.0], [None, 3.0]], object), "df.to_numpy(dtype='float32', na_value"),
        (np.array([["a"], ["b"]], object), "as strings by .astype(str)"),
        (
            np.rec.fromarrays([np.arange(9.0)] * 2, names="a,b"),
            "numpy.lib.recfunctions.structured_to_unstructured(a)",
        ),
        (np.array([["2020-01-01"]], "M8[s]"), "(t - t[0]) / numpy.timedelta64(1, 's')"),
    ],
)
def test_arrays_of_other_types_are_named_with_the_member_and_can_be_left_out(
    tmp_path: Path, array: np.ndarray, fix: str
):
    np.save(tmp_path / "my.npy", array)
    assert fix in refusal(tmp_path / "my.npy")[1]
    np.savez(tmp_path / "my.npz", images=TABLE, meta=array)
    why, how = refusal(tmp_path / "my.npz")
    assert why.startswith("of its array meta: it")
    assert fix in how
    assert how.endswith("; or leave it out by --unused meta")
    source = read_data(tmp_path / "my.npz", DataConfig(unused=("meta",)))
    np.testing.assert_array_equal(source.train.images, np.float32(TABLE))


@pytest.mark.parametrize(
    ("content", "why"),
    [(bytes(range(256)), "its first bytes are of no known format"), (b"", "it is empty")],
)
def test_anything_else_is_refused_with_the_list_of_formats(
    tmp_path: Path, content: bytes, why: str
):
    (tmp_path / "my.txt").write_bytes(content)
    found, fix = refusal(tmp_path / "my.txt")
    assert found == why
    assert fix.startswith("give `mnist`, or the path of one array of images")
