import io
import json
import re
from dataclasses import replace

import pytest
from rich.console import Console
from rich.table import Table

from elboroom import TrainConfig
from elboroom.cli import terminal
from elboroom.errors import escaped
from elboroom.runs.atomic import as_json
from elboroom.training.state import EpochMetrics

CONFIG = TrainConfig(epochs=12)
FIRST = EpochMetrics(1, 3, -200.126, -190.0, 10.126, -200.126, 1.0, 1e-3, None, 12_345.6)
LAST = replace(FIRST, epoch=12, held_out_elbo=-150.5)
TERMS = "ELBO -200.13  reconstruction -190.00  KL 10.13  12,346 images/s"


def counting_shown(
    monkeypatch: pytest.MonkeyPatch, *, is_terminal: bool, quiet: bool = False
) -> str:
    """Return what stderr shows while three of four images are counted, one of them in halves."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=is_terminal, width=80)
    monkeypatch.setattr(terminal, "plain_console", lambda *, stderr: console)
    with terminal.counting(4, "rows", quiet=quiet) as done:
        done(2)
        done(0.5)
        done(0.5)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())


def test_on_a_terminal_a_bar_counts_the_rows_of_each_stage(monkeypatch: pytest.MonkeyPatch):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80)
    monkeypatch.setattr(terminal, "plain_console", lambda *, stderr: console)
    with terminal.counting_stages("rows", quiet=False) as (begin, advance):
        begin("K = 5", 8)
        advance(3)
        begin("K = 50, pilot", 2)
        advance(1.5)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    assert "rows, K = 50, pilot 1/2" in shown


HOSTILE = "猫[\x1b[31m\x9b2J\u202e\udcff]"
ESCAPED = r"猫[\x1b[31m\x9b2J\u202e\udcff]"


def test_names_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]):
    console, table = terminal.plain_console(), Table(HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE)
    console.print(HOSTILE)
    console.print(table)
    out = capsys.readouterr().out
    assert out.count(ESCAPED) == 4
    assert out.replace("\n", "").isprintable()


def test_json_escapes_what_cannot_be_printed():
    text = as_json({HOSTILE: "a\nb\U000e0001é"})
    assert json.loads(text) == {HOSTILE: "a\nb\U000e0001é"}
    assert text.replace("\n", "").isprintable()
    assert "猫" in text
    assert "é" in text
    assert escaped(text) == text


def test_on_a_terminal_a_bar_counts_rows(monkeypatch: pytest.MonkeyPatch):
    assert "rows 3/4" in counting_shown(monkeypatch, is_terminal=True)


@pytest.mark.parametrize(("is_terminal", "quiet"), [(False, False), (True, True)])
def test_elsewhere_nothing_is_shown(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, quiet: bool
):
    assert counting_shown(monkeypatch, is_terminal=is_terminal, quiet=quiet) == ""


def test_paths_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]):
    path = "[b]:x:/" + "long/" * 40
    terminal.plain_console().print(path)
    assert capsys.readouterr().out == path + "\n"


def training_shown(
    *metrics: EpochMetrics,
    is_terminal: bool = False,
    quiet: bool = False,
    values: int | None = None,
) -> str:
    console = Console(file=io.StringIO(), force_terminal=is_terminal, width=140, soft_wrap=True)
    words = CONFIG, "validation ELBO", "images"
    with terminal.epoch_progress(console, *words, quiet=quiet, values=values) as show:
        for m in metrics:
            show(m)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_where_there_is_no_terminal_every_epoch_is_a_plain_line():
    assert training_shown(FIRST, LAST) == (
        f"epoch 1/12  {TERMS}\nepoch 12/12  {TERMS}  validation ELBO -150.50\n"
    )


@pytest.mark.parametrize("is_terminal", [False, True])
def test_grey_levels_have_bits_per_dimension(is_terminal: bool):
    shown = training_shown(FIRST, LAST, is_terminal=is_terminal, values=100)
    words = " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).split())
    assert "validation ELBO -150.50, 2.171 bits per dimension" in words


def test_plain_lines_are_not_cut_at_the_width_of_a_page():
    console = Console(file=io.StringIO(), force_terminal=False, width=20, soft_wrap=True)
    with terminal.epoch_progress(console, CONFIG, "test ELBO", "images", quiet=False) as show:
        show(LAST)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == f"epoch 12/12  {TERMS}  test ELBO -150.50\n"


def test_tables_have_rows():
    console = Console(file=io.StringIO(), force_terminal=False, width=140, soft_wrap=True)
    with terminal.epoch_progress(console, CONFIG, "test ELBO", "rows", quiet=False) as show:
        show(FIRST)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == f"epoch 1/12  {TERMS}\n".replace("images/s", "rows/s")


def test_beta_is_shown_while_it_is_not_one():
    line = training_shown(replace(FIRST, beta=0.25))
    assert line == "epoch 1/12  " + TERMS.replace("10.13", "10.13  β 0.25") + "\n"


@pytest.mark.parametrize(("steps", "said"), [(1, "1 step skipped"), (1200, "1,200 steps skipped")])
def test_skipped_steps_are_counted_where_there_are_any(steps: int, said: str):
    line = training_shown(replace(FIRST, skipped=steps))
    assert line == "epoch 1/12  " + TERMS.replace("10.13", f"10.13  {said}") + "\n"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_quiet_shows_nothing(is_terminal: bool):
    assert training_shown(FIRST, LAST, is_terminal=is_terminal, quiet=True) == ""


def test_on_a_terminal_there_is_a_bar_that_keeps_the_last_held_out_elbo():
    screen = training_shown(replace(LAST, epoch=6), replace(FIRST, epoch=7), is_terminal=True)
    assert "\x1b[" in screen
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen).strip().splitlines()[-1]
    assert "epoch  7/12" in last
    assert f"{TERMS}  validation ELBO -150.50" in last


def test_a_narrow_terminal_loses_nothing():
    console = Console(file=io.StringIO(), force_terminal=True, width=60)
    with terminal.epoch_progress(console, CONFIG, "validation ELBO", "images", quiet=False) as show:
        show(LAST)
    assert isinstance(console.file, io.StringIO)
    screen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    for term in ("12/12", "ELBO -200.13", "-190.00", "KL 10.13", "12,346", "-150.50"):
        assert term in screen
