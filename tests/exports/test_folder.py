"""The folder of an export: whole or not at all, and in the place of nothing but another one."""

from pathlib import Path

import pytest

from elboroom.errors import UsageError
from elboroom.exports.folder import DESCRIPTION, require_free, write_export_folder

BEGINNINGS = (
    '{\n  "format": "elboroom networks export 1",\n',
    '{"format":"elboroom web export 1","version":"',
)


def write(out: Path, text: str) -> None:
    write_export_folder(out, lambda folder: (folder / DESCRIPTION).write_text(text) and None)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_an_earlier_export_is_replaced(tmp_path: Path, beginning: str):
    out = tmp_path / "a" / "out"
    write(out, beginning)
    (out / "encoder.onnx").write_text("of the earlier one")
    write(out, "new")
    assert [path.name for path in out.iterdir()] == [DESCRIPTION]
    assert (out / DESCRIPTION).read_text() == "new"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_file_beside_an_earlier_export_is_left(tmp_path: Path, beginning: str):
    write(tmp_path / "out", beginning)
    (tmp_path / "out" / "mine.txt").write_text("of the user")
    with pytest.raises(UsageError, match=r"found mine\.txt"):
        write(tmp_path / "out", "new")
    assert (tmp_path / "out" / "mine.txt").read_text() == "of the user"


@pytest.mark.parametrize("text", ["{}", '{"format": "something else"}', '{"format": "elboroom"}'])
def test_files_of_something_else_are_left(tmp_path: Path, text: str):
    (tmp_path / DESCRIPTION).write_text(text)
    for write_or_check in (require_free, lambda out: write(out, "new")):
        with pytest.raises(UsageError, match="is in the way"):
            write_or_check(tmp_path)
    assert (tmp_path / DESCRIPTION).read_text() == text


def test_a_failure_leaves_the_earlier_export(tmp_path: Path):
    out = tmp_path / "out"
    write(out, BEGINNINGS[0])

    def fail(folder: Path) -> None:
        (folder / "half").write_text("of it")
        raise UsageError("no", why="a test", fix="none")

    with pytest.raises(UsageError):
        write_export_folder(out, fail)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (out / DESCRIPTION).read_text() == BEGINNINGS[0]


def test_a_failure_leaves_nothing_where_nothing_was(tmp_path: Path):
    def fail(folder: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_export_folder(tmp_path / "out", fail)
    assert not [*tmp_path.iterdir()]
