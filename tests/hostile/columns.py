"""Hostile tables of columns; none without pandas."""

import io
import zipfile
from functools import partial
from importlib.util import find_spec

from elboroom.config import DataConfig
from elboroom.data.formats.registry import read_data
from tests.hostile.case import Case, writing

held = partial(read_data, config=DataConfig(memory=0.1))


def workbook(sheet: bytes, **declared: int) -> bytes:
    """Return a workbook of one sheet."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    types = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Override '
        f'PartName="/xl/workbook.xml" ContentType="{types}.sheet.main+xml"/><Override '
        f'PartName="/xl/worksheets/sheet1.xml" ContentType="{types}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="s" '
        'sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
        "</Relationships>",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
        head = f'<worksheet xmlns="{main}"><sheetData>'.encode()
        archive.writestr("xl/worksheets/sheet1.xml", head + sheet + b"</sheetData></worksheet>")
    return buffer.getvalue()


def row(number: int, *cells: str) -> bytes:
    return b'<row r="%d">' % number + "".join(cells).encode() + b"</row>"


def text(cell: str) -> str:
    return f'<c t="inlineStr"><is><t>{cell}</t></is></c>'


ROWS = [row(n, f"<c><v>{n}.5</v></c>", text("a" if n % 2 else "b")) for n in range(2, 9)]
NAMES = row(1, text("x"), text("y"))

CSV: list[tuple[str, bytes, str]] = [
    ("a whole one", b"x,y\n1.5,a\n2.5,b\n3.5,a\n", ""),
    ("a million columns", b",".join(b"c%d" % n for n in range(10**6)) + b"\n", "columns"),
    ("a cell of 5 MB", b"x,y\n" + b"a" * (5 << 20) + b",1\n2,3\n", "a cell has more than"),
    ("a quoted cell of 5 MB", b'x,y\n"' + b"a,\n" * (2 << 20) + b'",1\n2,3\n', "fit into --memory"),
    ("a quote that never ends", b'x,y\n1,2\n"' + b"a,b\n" * 100_000, "is not closed"),
    ("a quote in each cell", b"x,y\n" + b'",' * 100_000, "at most 10,000"),
    ("cells of nothing", b"x,y\n" + b",\n" * 4_000_000, "does not fit into --memory"),
    ("bytes", bytes(range(256)) * 99, "of no known format"),
    ("bytes after a table", b"x,y\n1,2\n" * 999 + bytes(range(256)), "bytes that are no text"),
    ("another encoding", "x,y\né,1\nü,2\n".encode("cp1252"), "is not UTF-8"),
    ("UTF-16", "x,y\n1,2\n".encode("utf-16"), "a text in UTF-16"),
    ("nothing", b"", "it is empty"),
    ("a mark alone", b"\xef\xbb\xbf", "it is empty"),
    ("names alone", b"x,y\n", "no rows"),
    ("one row", b"x,y\n1,2\n", "one row"),
    ("two names", b"x,x\n1,2\n3,4\n", "two columns of one name"),
    ("no names", b"1,2\n3,4\n5,6\n", "its first line holds numbers"),
    ("a row too short", b"x,y\n1,2\n3\n", "row 2 has 1 cells"),
    ("a row too long", b"x,y\n1,2\n3,4,5\n", "row 2 has 3 cells"),
    ("a number of a MB", b"x,y\n" + b"9" * (1 << 19) + b",1.5\n1,2.5\n", ""),
    ("infinite numbers", b"x,y\n1.5,inf\n2.5,-Infinity\n3,1\n", "infinite values"),
    ("huge numbers", b"x,y\n1.5,1e300\n2.5,-1e9\n3,1\n", "up to 1e+300"),
    ("numbers beyond floats", b"x,y\n1.5,1e999\n2.5,-1e9\n3,1\n", "infinite values"),
    ("dates beyond time", b"x,y\n1,9999-12-31\n2,0001-01-01\n3,2020-01-01\n4,\n", ""),
    ("a pickle", b"\x80\x04\x95", "a pickle"),
    ("a web page", b"<!DOCTYPE html><html>a,b", "a web page"),
    ("a pointer", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
]
EXCEL: list[tuple[str, bytes, str]] = [
    ("a whole one", workbook(NAMES + b"".join(ROWS)), ""),
    ("nothing", workbook(b""), "is empty"),
    ("another archive", b"PK\3\4" + bytes(99), "cannot read"),
    ("a torn one", workbook(NAMES + b"".join(ROWS))[:-99], "cannot read"),
    ("a bomb", workbook(NAMES + b"<!--" + b" " * (90 << 20) + b"-->"), "do not compress so well"),
    ("a row at the end", workbook(NAMES + ROWS[0] + row(1 << 20, text("x"))), "does not fit"),
    ("entities", workbook(NAMES + row(2, text("&a;"), text("y"))), "cannot read"),
    ("no numbers", workbook(NAMES + row(2, "<c><v>x</v></c>")), "cannot read"),
]

CASES = [
    *(Case(f"csv {name}", writing("my.csv", content), held, told) for name, content, told in CSV),
    *(Case(f"xlsx {n}", writing("my.xlsx", content), held, told) for n, content, told in EXCEL),
]
if find_spec("pandas") is None or find_spec("openpyxl") is None:
    CASES = []
