"""Tables are written back as they were read: cell for cell, type for type."""

import codecs
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elboroom.data import read_frame, table_bytes, write_frame
from elboroom.data.tables import Schema
from elboroom.data.tables.delimited import Delimited, bare, quote
from elboroom.errors import DataError, UsageError

CSV = (
    'id,"full name", size ,when,amount\r\n'
    '007, "Ann ""A"" B" ,1.50,2020-01-31,"1,234.5"\r\n'
    "008,,2.25,,NA\r\n"
    '\r\n009,"two\nlines",,2020-02-01,7\r\n\r\n'
)


def written(folder: Path, content: bytes, name: str = "t.csv") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize(
    ("old", "new", "name"),
    [(",", ",", "t.csv"), (",", ";", "t.csv"), (",", "\t", "t.tsv"), (",", "|", "t.csv")],
)
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_text_that_is_not_changed_is_written_byte_for_byte(
    tmp_path: Path, mark: bytes, old: str, new: str, name: str, end: str
):
    text = CSV.replace(old, new).replace("\r\n", end).encode()
    path = written(tmp_path, mark + text, name)
    frame = read_frame(path)
    assert [*frame.columns] == ["id", "full name", "size", "when", "amount"]
    assert frame["full name"].tolist() == ['Ann "A" B', "", "two\nlines"]
    assert frame["id"].tolist() == ["007", "008", "009"]
    assert table_bytes(frame, path, path) == path.read_bytes()


def test_only_the_cells_that_are_filled_change(tmp_path: Path):
    path = written(tmp_path, CSV.encode())
    frame = read_frame(path)
    frame.loc[1, "full name"], frame.loc[2, "size"], frame.loc[1, "amount"] = "B, C", "3.00", "9"
    expected = CSV.replace("008,,2.25,,NA", '008,"B, C",2.25,,"9"').replace(
        'lines",,', 'lines",3.00,'
    )
    expected = expected.replace('"9"', "9")  # 7 is not quoted, so that numbers may be so
    assert table_bytes(frame, path, path).decode() == expected


def test_a_filled_cell_is_quoted_where_all_others_are(tmp_path: Path):
    path = written(tmp_path, b'x,y\n"a","1"\n"","2"\n"b",\n')
    frame = read_frame(path).replace("", "a")
    assert table_bytes(frame, path, path) == b'x,y\n"a","1"\n"a","2"\n"b","a"\n'


def test_one_column_has_empty_cells_and_an_old_mac_ends_lines_by_cr(tmp_path: Path):
    path = written(tmp_path, b"x\r1.5\r\r2.5\r")
    assert read_frame(path)["x"].tolist() == ["1.5", "", "2.5"]
    assert table_bytes(read_frame(path), path, path) == path.read_bytes()


CELLS = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"]) | st.sampled_from('",;\n'), max_size=5
)


@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=5),
    st.sampled_from(",;\t|"),
)
@settings(max_examples=60, deadline=None)
def test_any_text_in_quotes_is_read_and_written_as_it_was(rows: list[list[str]], delimiter: str):
    lines = [["a", "b"], *rows]
    text = "\n".join(delimiter.join(quote(c, delimiter, always=True) for c in row) for row in lines)
    table = Delimited.parse(text.encode(), delimiter)
    assert table.columns() == [[row[n] for row in rows] for n in (0, 1)]
    assert table.written(table.columns()) == text.encode()
    other = [["x" + cell for cell in column] for column in table.columns()]
    assert Delimited.parse(table.written(other), delimiter).columns() == other


@given(st.text(st.sampled_from('a ",\r\n\t;'), max_size=12))
@settings(max_examples=100, deadline=None)
def test_any_text_that_is_read_is_written_as_it_was(text: str):
    content = ("a,b\n1,2\n" + text).encode()
    try:
        table = Delimited.parse(content, ",")
    except ValueError:
        return
    assert table.written(table.columns()) == content
    assert [bare(cell) for row in table.rows for cell in row] == [
        cell for row in zip(*table.columns(), strict=True) for cell in row
    ]


def test_a_table_with_more_rows_is_written_anew_in_the_same_style(tmp_path: Path):
    path = written(tmp_path, b"x;y\n1,5;a\n2,5;b\n")
    frame = pd.concat([read_frame(path)] * 2).assign(draw=["1", "1", "2", "2"])
    assert table_bytes(frame, tmp_path / "o.csv", path) == (
        b"x;y;draw\n1,5;a;1\n2,5;b;1\n1,5;a;2\n2,5;b;2\n"
    )


# Types, through the encoded numbers and back


def gaps(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return a table with a fifth of its entries missing, in types that can be."""
    hidden = np.random.default_rng(seed).random(frame.shape) < 0.2
    return frame.astype({"count": "Int64", "rating": "Int64", "flag": "boolean"}).mask(hidden)


def example(seed: int, rows: int = 40) -> pd.DataFrame:
    r = np.random.default_rng(seed)
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(r.integers(0, 99, rows), "D")
    return pd.DataFrame(
        {
            "real": r.normal(size=rows).round(3),
            "positive": np.exp(3 * r.normal(size=rows)).round(2),
            "count": r.negative_binomial(2, 0.1, rows),
            "rating": 1 + np.arange(rows) % 4,
            "flag": r.random(rows) < 0.5,
            "word": r.choice(["a", "b, c", 'd"'], rows),
            "code": r.choice(["007", "1.50", "012"], rows),
            "day": days,
        }
    )


def to_csv(frame: pd.DataFrame, path: Path) -> None:
    frame.to_csv(path, index=False)


def to_parquet(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path, index=False)


def to_feather(frame: pd.DataFrame, path: Path) -> None:
    frame.to_feather(path)


def to_excel(frame: pd.DataFrame, path: Path) -> None:
    frame.to_excel(path, index=False)


FILES: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    "t.csv": to_csv,
    "t.parquet": to_parquet,
    "t.feather": to_feather,
    "t.xlsx": to_excel,
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", FILES)
def test_the_true_entries_come_back_into_the_gaps(name: str, seed: int, tmp_path: Path):
    whole, holed = tmp_path / f"whole {name}", tmp_path / name
    FILES[name](example(seed), whole)
    FILES[name](gaps(example(seed), seed), holed)
    schema = Schema.of(read_frame(whole), {"rating": "ordinal", "count": "count"})
    truth = schema.encode(read_frame(whole))
    assert not np.isnan(truth).any()
    filled = schema.decode(truth, read_frame(holed))
    write_frame(filled, tmp_path / f"out {name}", holed)
    back = read_frame(tmp_path / f"out {name}")
    np.testing.assert_array_equal(schema.encode(back), truth)
    if name != "t.xlsx":
        pd.testing.assert_frame_equal(back, filled)


@pytest.mark.parametrize(
    ("suffix", "write", "read"),
    [(".parquet", parquet.write_table, parquet.read_table),
     (".feather", feather.write_feather, feather.read_table),
     (".arrow", feather.write_feather, feather.read_table)],
)  # fmt: skip
def test_types_and_nullability_of_arrow_are_kept(
    tmp_path: Path, suffix: str, write: Any, read: Any
):
    days = [date(2020, 1, 1), None, date(2020, 2, 1), date(2020, 3, 1)]
    columns = {
        "id": pa.array(["p", "q", "r", "s"]),
        "small": pa.array([3, None, 700, 9], pa.int16()),
        "big": pa.array([2**60, 2**60 + 1, 2**60 + 3, 5]),
        "single": pa.array([0.5, None, 2.5, 3], pa.float32()),
        "flag": pa.array([True, None, False, True]),
        "level": pa.array(["u", "v", None, "u"]).dictionary_encode(),
        "day": pa.array(days, pa.date32()),
        "list": pa.array([[1], [], None, [2, 3]]),
    }
    fields = [pa.field(name, a.type, nullable=name != "id") for name, a in columns.items()]
    table = pa.table([*columns.values()], pa.schema(fields, metadata={"by": "hand"}))
    path = tmp_path / f"t{suffix}"
    write(table, path)
    table, frame = read(path), read_frame(path)
    schema = Schema.of(frame, {"big": "ignore", "small": "count"})
    filled = schema.decode(np.where(np.isnan(schema.encode(frame)), 1, 0), frame)
    write_frame(filled, tmp_path / f"o{suffix}", path)
    found = read(tmp_path / f"o{suffix}")
    assert found.schema.equals(table.schema, check_metadata=True)
    assert found["big"].to_pylist() == table["big"].to_pylist()
    assert found["list"].to_pylist() == table["list"].to_pylist()
    assert found["small"].to_pylist() == [3, 1, 700, 9]
    assert found["single"].to_pylist() == [0.5, 1, 2.5, 3]
    assert found["day"].to_pylist() == [days[0], date(2020, 1, 2), *days[2:]]
    assert found["level"].to_pylist() == ["u", "v", "v", "u"]
    assert found["flag"].to_pylist() == [True, True, False, True]


def test_only_the_filled_cells_of_a_workbook_change(tmp_path: Path):
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (
        ["x", "y", "sum"],
        [1.5, "a", 3],
        [None, "b", "=A3*2"],
        [2.5, None, 7],
        [4, "a", 8],
    ):
        sheet.append(row)
    sheet["A2"].number_format = "0.000"
    book.create_sheet("other")["A1"] = "kept"
    book.save(tmp_path / "t.xlsx")
    frame = read_frame(tmp_path / "t.xlsx")
    assert frame["x"].tolist() == [1.5, None, 2.5, 4]
    schema = Schema.of(frame[["x", "y"]])
    filled = schema.decode(np.ones((4, 2)), frame)
    write_frame(filled, tmp_path / "o.xlsx", tmp_path / "t.xlsx")
    found = openpyxl.load_workbook(tmp_path / "o.xlsx")
    assert [c.value for c in found["Sheet"]["A"]] == ["x", 1.5, 1, 2.5, 4]
    assert [c.value for c in found["Sheet"]["B"]] == ["y", "a", "b", "b", "a"]
    assert found["Sheet"]["C3"].value == "=A3*2"
    assert found["Sheet"]["A2"].number_format == "0.000"
    assert found["other"]["A1"].value == "kept"
    with pytest.raises(DataError, match="the cell C3 cannot be filled"):
        table_bytes(frame.assign(sum=1), tmp_path / "o.xlsx", tmp_path / "t.xlsx")


def test_a_file_of_no_format_is_not_written(tmp_path: Path):
    with pytest.raises(UsageError, match=r"a table cannot be written to t\.json"):
        table_bytes(pd.DataFrame({"x": [1]}), "t.json")
    assert table_bytes(pd.DataFrame({"x": [1, None], "y": ["a,b", None]}), "t.csv") == (
        b'x,y\n1.0,"a,b"\n,\n'
    )


REFUSED: list[tuple[str, bytes, str]] = [
    ("t.csv", b"x,x\n1,2\n3,4\n", "two columns of one name"),
    ("t.csv", b"1,2\n3,4\n", "its first line holds numbers"),
    ("t.csv", b"x,y\n1,2\n3\n", "row 2 has 1 cells, and the line of names 2"),
    ("t.csv", b'x,y\n1,"2\n', "a quote opens at"),
    ("t.csv", b"x,y\n\xe9,2\n", "its byte 4 is not UTF-8"),
    ("t.csv", b"", "it is empty"),
    ("t.csv", b"x,y\n" + b"a" * (1 << 21) + b",1\n", "a cell has more than 1,048,576 characters"),
    ("t.csv", b",".join(b"c%d" % n for n in range(10_001)), "it has 10,001 columns"),
    ("t.parquet", b"PAR1" + bytes(99), "cannot read"),
    ("t.xlsx", b"PK" + bytes(99), "cannot read"),
]


@pytest.mark.parametrize(("name", "content", "told"), REFUSED)
def test_files_that_are_no_tables_are_refused(tmp_path: Path, name: str, content: bytes, told: str):
    with pytest.raises(DataError, match=told):
        read_frame(written(tmp_path, content, name))


def test_a_file_that_does_not_fit_into_memory_is_refused(tmp_path: Path):
    path = written(tmp_path, b"x,y\n" + b"1,2\n" * 1000)
    assert len(read_frame(path, memory=0.001)) == 1000
    with pytest.raises(DataError, match=r"does not fit into --memory 0\.0001"):
        read_frame(path, memory=0.0001)
