"""Files that are not read: what each is, by its first bytes, and the line that converts it."""

import codecs
import re
import shlex
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from elboroom.data.formats.errors import cannot_read
from elboroom.errors import DataError
from elboroom.untrusted import open_file

_START = 4096  # bytes that tell one format from another
_GZIP = b"\x1f\x8b"
_MOST_NAMES = 50  # of a zip that are looked at


@dataclass(frozen=True)
class Unreadable:
    """A kind of file that is not read.

    Attributes:
        name: the kind, with its article.
        recognises: called with the path and the first 4,096 bytes.
        fix: the way to make it a file that is read; `{path}` is the file, `{out}` the same name as
            a `.npy`, `{stem}` the name without its suffix, `{shell}` the file as a shell reads it.
    """

    name: str
    recognises: Callable[[Path, bytes], bool]
    fix: str


def describe(path: Path, why: str = "its first bytes are of no known format") -> DataError:
    """Return the error for a file that is not read; it names what the file is, or else `why`."""
    try:
        with open_file(path) as file:
            start = file.read(_START)
    except (OSError, ValueError) as error:
        return cannot_read(path, str(error))
    if not start:
        return cannot_read(path, "it is empty")
    kind = next((kind for kind in UNREADABLE if kind.recognises(path, start)), None)
    if kind is None:
        return cannot_read(path, why)
    names = {"path": path, "out": path.with_suffix(".npy"), "shell": shlex.quote(str(path))}
    names["stem"] = path.stem
    return cannot_read(path, f"it is {kind.name}", kind.fix.format(**names))


def foreign(path: Path) -> bool:
    """Return whether a file that is named as a table of columns is another kind of file."""
    try:
        with open_file(path) as file:
            start = file.read(_START)
    except (OSError, ValueError):
        return True
    kind = next((kind for kind in UNREADABLE if kind.recognises(path, start)), None)
    return b"\0" in start if kind is None else kind.name not in _READ_BY_NAME


def _python(code: str) -> str:
    return f'python -c "{code}"'


def _begins(*starts: bytes) -> Callable[[Path, bytes], bool]:
    return lambda path, start: start.startswith(starts)


def _at(place: int, word: bytes) -> Callable[[Path, bytes], bool]:
    return lambda path, start: start[place : place + len(word)] == word


def _holds(*words: str) -> Callable[[Path, bytes], bool]:
    """Return a test for a zip one of whose first names ends in one of these words."""
    return lambda path, start: (
        start.startswith(b"PK") and any(name.lower().endswith(words) for name in _names(path))
    )


def _names(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()[:_MOST_NAMES]
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return []


def _unpacks_to(*words: bytes) -> Callable[[Path, bytes], bool]:
    """Return a test for a gzip whose content begins with one of these words."""
    return lambda path, start: start.startswith(_GZIP) and _unpacked(start).startswith(words)


def _unpacked(start: bytes) -> bytes:
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(start, 64)
    except zlib.error:
        return b""


def _is_text(path: Path, start: bytes) -> bool:
    return b"\0" not in start and all(b >= 32 or b in b"\t\n\r\f" for b in start)


def _matches(pattern: bytes) -> Callable[[Path, bytes], bool]:
    return lambda path, start: _is_text(path, start) and bool(re.match(pattern, start))


def _is_table(delimiter: bytes) -> Callable[[Path, bytes], bool]:
    return lambda path, start: _is_text(path, start) and delimiter in start.split(b"\n")[0]


def _is_of_numbers(delimiter: bytes) -> Callable[[Path, bytes], bool]:
    """Return a test for a table whose first line is of numbers."""

    def recognises(path: Path, start: bytes) -> bool:
        return _is_table(delimiter)(path, start) and _are_numbers(_cells(start, delimiter))

    return recognises


def _cells(start: bytes, delimiter: bytes) -> list[bytes]:
    """Return the cells of the first line, without quotes; cells of others than `,` may hold it."""
    line = start.removeprefix(codecs.BOM_UTF8).split(b"\n")[0].replace(b'"', b"")
    return (line if delimiter == b"," else line.replace(b",", b".")).split(delimiter)


def _are_numbers(cells: list[bytes]) -> bool:
    try:
        [float(cell) for cell in cells if cell.strip()]
    except ValueError:
        return False
    return True


def _table(delimiter: str) -> str:
    """Return the line for numbers alone; where `,` does not part cells, it is the decimal point."""
    cut = "" if delimiter == "," else f", delimiter={delimiter!r}"
    lines = "pathlib.Path('{path}').read_text('utf-8-sig').splitlines()"
    rows = f"csv.reader({lines}{cut})"
    row = "'\\t'.join(r)" if delimiter == "," else "'\\t'.join(r).replace(',', '.')"
    read = f"numpy.genfromtxt([{row} for r in {rows}], delimiter='\\t')"
    line = _python(f"import csv, numpy, pathlib; numpy.save('{{out}}', {read})")
    return f"{line}; text and empty cells become NaN"


def _pandas(function: str, options: str = "") -> str:
    read = f"pandas.{function}('{{path}}'{options}).to_numpy('float32')"
    return _python(f"import numpy, pandas; numpy.save('{{out}}', {read})")


def _renamed(suffix: str) -> str:
    return f"rename it to '{{stem}}{suffix}', by which it is read as a table of columns"


_READ_BY_NAME = ("an Excel workbook", "a CSV table", "a TSV table", "a text of numbers", "a text")
"""Kinds that are read as tables of columns if their names say so."""
_UNPACK = "unpack it"
_PICTURE = "give the folder that holds the pictures"
UNREADABLE = [
    Unreadable(
        "an AnnData file",
        lambda path, start: path.suffix == ".h5ad",
        _python(
            "import anndata, numpy; numpy.save('{out}', "
            "anndata.read_h5ad('{path}').to_df().to_numpy('float32'))"
        ),
    ),
    Unreadable("a Feather table of version 1", _begins(b"FEA1"), _pandas("read_feather")),
    Unreadable("an SPSS table", _begins(b"$FL2", b"$FL3"), _pandas("read_spss")),
    Unreadable("a Stata table", _begins(b"<stata_dta>"), _pandas("read_stata")),
    Unreadable(
        "an R file",
        _unpacks_to(b"X\n", b"RDX"),
        "save it in R by write.csv(x, 'x.csv', row.names = FALSE)",
    ),
    Unreadable(
        "a pointer of Git LFS, not the file itself",
        _begins(b"version https://git-lfs"),
        "fetch the file: git lfs pull",
    ),
    Unreadable(
        "a text in UTF-16",
        _begins(codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
        _python(
            "import pathlib; p = pathlib.Path('{path}'); p.write_text(p.read_text('utf-16'), "
            "'utf-8')"
        ),
    ),
    Unreadable(
        "a SQLite database",
        _begins(b"SQLite format 3\0"),
        "save a query of it: numpy.save('x.npy', pandas.read_sql(query, connection).to_numpy("
        "'float32'))",
    ),
    Unreadable(
        "a .pt that PyTorch before 1.6 wrote",
        _begins(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P"),
        _python("import torch; torch.save(torch.load('{path}'), '{path}')"),
    ),
    Unreadable(
        "a pickle, whose code would run",
        _begins(*(bytes([0x80, version]) for version in range(2, 6))),
        "if you trust it, "
        + _python(
            "import numpy, pathlib, pickle; numpy.save('{out}', numpy.asarray(pickle.loads("
            "pathlib.Path('{path}').read_bytes()), 'float32'))"
        ),
    ),
    Unreadable("a single PNG picture", _begins(b"\x89PNG"), _PICTURE),
    Unreadable("a single JPEG picture", _begins(b"\xff\xd8\xff"), _PICTURE),
    Unreadable("a single GIF picture", _begins(b"GIF8"), _PICTURE),
    Unreadable("a single BMP picture", _begins(b"BM"), _PICTURE),
    Unreadable(
        "a TIFF picture",
        _begins(b"II*\0", b"MM\0*"),
        _python(
            "import numpy; from PIL import Image, ImageSequence; numpy.save('{out}', "
            "numpy.stack([numpy.asarray(i) for i in ImageSequence.Iterator(Image.open('{path}'))]))"
        ),
    ),
    Unreadable(
        "a single PNM picture", _begins(*(b"P%d\n" % kind for kind in range(1, 8))), _PICTURE
    ),
    Unreadable("a single WebP picture", _at(8, b"WEBP"), _PICTURE),
    Unreadable(
        "a WAV sound",
        _at(8, b"WAVE"),
        _python(
            "import numpy, scipy.io.wavfile as w; x = w.read('{path}')[1]; numpy.save('{out}', "
            "x[:len(x) // 256 * 256].reshape(-1, 256) / numpy.float32(2**15))"
        ),
    ),
    Unreadable(
        "a FITS file",
        _begins(b"SIMPLE  ="),
        _python(
            "import numpy; from astropy.io import fits; numpy.save('{out}', numpy.float32("
            "fits.getdata('{path}')))"
        ),
    ),
    Unreadable(
        "a NIfTI volume",
        _at(344, b"n+1\0"),
        _python(
            "import nibabel, numpy; numpy.save('{out}', nibabel.load('{path}').get_fdata("
            "dtype='float32'))"
        ),
    ),
    Unreadable(
        "a DICOM picture",
        _at(128, b"DICM"),
        _python(
            "import numpy, pydicom; numpy.save('{out}', pydicom.dcmread('{path}').pixel_array["
            "None].astype('float32'))"
        ),
    ),
    Unreadable(
        "a netCDF file",
        _begins(b"CDF\x01", b"CDF\x02"),
        _python(
            "import numpy, scipy.io; numpy.savez('{path}.npz', **{{k: numpy.array(v[:]) for k, v "
            "in scipy.io.netcdf_file('{path}').variables.items()}})"
        ),
    ),
    Unreadable(
        "a web page, not the file that it links to",
        lambda path, start: start.lstrip().lower().startswith((b"<!doctype html", b"<html")),
        "download the file itself",
    ),
    Unreadable("an Excel workbook", _holds("[content_types].xml"), _renamed(".xlsx")),
    Unreadable(
        "an old or an encrypted Excel workbook",
        _begins(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        "save it as .xlsx, without a password",
    ),
    Unreadable("a .npy packed by gzip", _unpacks_to(b"\x93NUMPY"), "gunzip {shell}"),
    Unreadable("a file packed by gzip", _begins(_GZIP), "gunzip {shell}"),
    Unreadable("a file packed by bzip2", _begins(b"BZh"), "bunzip2 {shell}"),
    Unreadable("a file packed by xz", _begins(b"\xfd7zXZ\0"), "unxz {shell}"),
    Unreadable("a file packed by Zstandard", _begins(b"\x28\xb5\x2f\xfd"), "unzstd {shell}"),
    Unreadable("a 7-Zip archive", _begins(b"7z\xbc\xaf\x27\x1c"), _UNPACK),
    Unreadable(
        "JSON lines", _matches(rb"\s*\{[^\n]*\}\s*\n\s*\{"), _pandas("read_json", ", lines=True")
    ),
    Unreadable("a JSON table", _matches(rb"\s*(\{|\[\s*\{)"), _pandas("read_json")),
    Unreadable(
        "a JSON file",
        _matches(rb"\s*\["),
        _python(
            "import json, numpy, pathlib; numpy.save('{out}', numpy.array(json.loads("
            "pathlib.Path('{path}').read_text()), 'float32'))"
        ),
    ),
    Unreadable("a TSV table", _is_of_numbers(b"\t"), _table("\t")),
    Unreadable("a CSV table", _is_of_numbers(b";"), _table(";")),
    Unreadable("a CSV table", _is_of_numbers(b","), _table(",")),
    Unreadable("a TSV table", _is_table(b"\t"), _renamed(".tsv")),
    Unreadable("a CSV table", _is_table(b","), _renamed(".csv")),
    Unreadable("a CSV table", _is_table(b";"), _renamed(".csv")),
    Unreadable(
        "a text of numbers",
        lambda path, start: _is_text(path, start) and _are_numbers(start.split(b"\n")[0].split()),
        _python("import numpy; numpy.save('{out}', numpy.loadtxt('{path}'))"),
    ),
    Unreadable("a text", _is_text, "save its numbers as an array: numpy.save('{out}', x)"),
]
