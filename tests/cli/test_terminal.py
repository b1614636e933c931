import io
import re

import pytest
from rich.console import Console

from elboroom.cli import terminal


def shown(monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool, quiet: bool = False) -> str:
    """What stderr shows while three of four images are counted, one of them in halves."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=is_terminal, width=80)
    monkeypatch.setattr(terminal, "plain_console", lambda *, stderr: console)
    with terminal.counting(4, quiet=quiet) as done:
        done(2)
        done(0.5)
        done(0.5)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())


def test_on_a_terminal_a_bar_counts_images(monkeypatch: pytest.MonkeyPatch):
    assert "images 3/4" in shown(monkeypatch, is_terminal=True)


@pytest.mark.parametrize(("is_terminal", "quiet"), [(False, False), (True, True)])
def test_elsewhere_nothing_is_shown(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, quiet: bool
):
    assert shown(monkeypatch, is_terminal=is_terminal, quiet=quiet) == ""


def test_paths_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]):
    path = "[b]:x:/" + "long/" * 40
    terminal.plain_console().print(path)
    assert capsys.readouterr().out == path + "\n"
