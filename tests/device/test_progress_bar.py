import sys

import pytest

from elboroom.device import progress_bar
from elboroom.device.progress_bar import Bar, shown_progress


def test_nothing_is_shown_unless_it_is_asked(capsys: pytest.CaptureFixture[str]):
    with shown_progress(False, "work") as show:
        show(0.5, "words")
    assert capsys.readouterr() == ("", "")


def test_a_file_gets_a_line_when_the_words_change(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress_bar, "_LEAST_SECONDS", 0.0)
    with shown_progress(True, "work") as show:
        for step in range(100):
            show(step / 100, f"epoch {step // 50}")
    lines = capsys.readouterr().err.splitlines()
    assert [line[:18] for line in lines] == ["work 0%  epoch 0  ", "work 50%  epoch 1 "]


def test_a_terminal_gets_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with shown_progress(True, "work") as show:
        show(1.0, "done " * 100)
    *drawn, last = capsys.readouterr().err.split("\r\x1b[K")
    assert len(drawn) == 2  # before the first and the second drawing
    assert last.startswith("work 100%  done ")
    assert last.count("\n") == 1
    assert len(last) <= 80


def test_a_bar_is_drawn_some_times_a_second():
    drawn = list[float]()
    bar = Bar("work", lambda bar: drawn.append(bar.share))
    for step in range(10_000):
        bar.show(step / 10_000, "")
    bar.draw()
    assert len(drawn) < 10
    assert drawn[-1] == 0.9999


def test_words_cannot_inject_anything():
    bar = Bar("<b>", lambda bar: None)
    bar.show(2.0, "<script>")
    assert bar._repr_html_().startswith(
        '<div><label>&lt;b&gt; <progress max="1" value="1.0000"></progress></label> '
        "100% &lt;script&gt; · 0:0"
    )


def test_the_time_left_follows_the_share(monkeypatch: pytest.MonkeyPatch):
    clock = iter([0.0, 0.0, 60.0, 60.0])
    monkeypatch.setattr(progress_bar.time, "perf_counter", lambda: next(clock))
    bar = Bar("work", lambda bar: None)
    bar.share = 0.25
    assert bar.time == "1:00, about 3:00 left"


def test_work_that_was_stopped_promises_no_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    def work() -> None:
        with shown_progress(True, "work") as show:
            show(0.25, "")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert capsys.readouterr().err.endswith("work 25%  0:00, stopped\n")
