import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from elboroom import TrainConfig
from elboroom.cli.progress import watch
from elboroom.training.state import EpochMetrics

CONFIG = TrainConfig(epochs=12)
FIRST = EpochMetrics(1, 3, -200.126, -190.0, 10.126, -200.126, 1.0, 1e-3, None, 12_345.6)
LAST = replace(FIRST, epoch=12, held_out_elbo=-150.5)
TERMS = "ELBO -200.13  reconstruction -190.00  KL 10.13  12,346 images/s"


def shown(*metrics: EpochMetrics, terminal: bool = False, quiet: bool = False) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=140, soft_wrap=True)
    with watch(console, CONFIG, "validation", quiet=quiet) as show:
        for m in metrics:
            show(m)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_where_there_is_no_terminal_every_epoch_is_a_plain_line():
    assert shown(FIRST, LAST) == (
        f"epoch 1/12  {TERMS}\nepoch 12/12  {TERMS}  validation ELBO -150.50\n"
    )


def test_plain_lines_are_not_cut_at_the_width_of_a_page():
    console = Console(file=io.StringIO(), force_terminal=False, width=20, soft_wrap=True)
    with watch(console, CONFIG, "test", quiet=False) as show:
        show(LAST)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == f"epoch 12/12  {TERMS}  test ELBO -150.50\n"


def test_beta_is_shown_while_it_is_not_one():
    line = shown(replace(FIRST, beta=0.25))
    assert line == "epoch 1/12  " + TERMS.replace("10.13", "10.13  β 0.25") + "\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_quiet_shows_nothing(terminal: bool):
    assert shown(FIRST, LAST, terminal=terminal, quiet=True) == ""


def test_on_a_terminal_there_is_a_bar_that_keeps_the_last_held_out_elbo():
    screen = shown(replace(LAST, epoch=6), replace(FIRST, epoch=7), terminal=True)
    assert "\x1b[" in screen
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen).strip().splitlines()[-1]
    assert "epoch  7/12" in last
    assert f"{TERMS}  validation ELBO -150.50" in last


def test_a_narrow_terminal_loses_nothing():
    console = Console(file=io.StringIO(), force_terminal=True, width=60)
    with watch(console, CONFIG, "validation", quiet=False) as show:
        show(LAST)
    assert isinstance(console.file, io.StringIO)
    screen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    for term in ("12/12", "ELBO -200.13", "-190.00", "KL 10.13", "12,346", "-150.50"):
        assert term in screen
