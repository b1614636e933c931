"""TensorBoard's event file, read back as TensorBoard does."""

import struct
from pathlib import Path
from typing import Any

import pytest

from elboroom import Config, DataConfig, ModelConfig, Run, train_run
from elboroom.data import load_data
from tests.support.tracked_runs import QUICK, in_file, stop_at

pytest.importorskip("tensorboardX")


@pytest.fixture
def run(tmp_path: Path, digits: Path) -> Run:
    data = DataConfig(source=str(digits), binarisation="threshold")
    config = Config(data=data, model=ModelConfig(hidden=(8, 4)), train=QUICK)
    return Run.create(tmp_path / "run", config, load_data(config.data))


def events(run: Run) -> list[Any]:
    """Read the events of the one file that there is."""
    from tensorboardX.proto.event_pb2 import Event

    (file,) = (run.path / "tensorboard").iterdir()
    content, found = file.read_bytes(), []
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        found.append(Event.FromString(content[12 : 12 + size]))
        content = content[16 + size :]
    return found


def values(run: Run) -> list[tuple[int, Any]]:
    return [(event.step, value) for event in events(run) for value in event.summary.value]


def curves(run: Run) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for step, value in values(run):
        if value.WhichOneof("value") == "simple_value":
            assert value.tag not in found.setdefault(step, {}), "a point is there twice"
            found[step][value.tag] = value.simple_value
    return found


def expected(run: Run) -> dict[int, dict[str, float]]:
    """The metrics in float32, as TensorBoard has them."""
    return {step: pytest.approx(row, rel=1e-7) for step, row in in_file(run)}


def test_the_event_file_has_the_curves_the_options_and_the_figures(run: Run):
    train_run(run, track=["tensorboard", "tensorboard"])
    assert events(run)[0].file_version == "brain.Event:2"
    assert curves(run) == expected(run)
    pictures = {v.tag: (s, v.image) for s, v in values(run) if v.WhichOneof("value") == "image"}
    assert {tag: step for tag, (step, _) in pictures.items()} == {"curves": 18, "samples": 18}
    assert all(p.encoded_image_string.startswith(b"\x89PNG") for _, p in pictures.values())
    assert all(p.width > 99 and p.height > 99 for _, p in pictures.values())
    texts = [v.tensor.string_val[0].decode() for _, v in values(run) if v.tensor.string_val]
    assert "| model.hidden | 8 4 |" in texts[0]
    assert any(v.tag == "_hparams_/session_start_info" for _, v in values(run))


def test_a_resumed_training_has_each_epoch_once(run: Run):
    train_run(run, track=["tensorboard"], stop=stop_at(8))
    assert list(curves(run)) == [6]
    (first,) = (run.path / "tensorboard").iterdir()
    first.rename(first.with_name("events.out.tfevents.1.here.elboroom"))  # an earlier second
    another = run.path / "tensorboard" / "events.out.tfevents.1.another"
    another.touch()
    train_run(run, track=["tensorboard"])
    another.unlink()  # it was left alone
    assert curves(run) == expected(run)
    assert any(event.session_log.status == 1 for event in events(run))


def test_tensorboard_itself_reads_the_file(run: Run):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train_run(run, track=["tensorboard"], stop=stop_at(8))
    train_run(run, track=["tensorboard"])
    found = accumulator.EventAccumulator(str(run.path / "tensorboard")).Reload()
    scalars = [(p.step, p.value) for p in found.Scalars("elbo")]
    assert scalars == [(s, pytest.approx(row["elbo"], rel=1e-7)) for s, row in in_file(run)]
    assert found.Tags()["images"] == ["curves", "samples"]


def test_a_full_disk_ends_tracking_alone(run: Run, monkeypatch: pytest.MonkeyPatch):
    from tensorboardX import record_writer

    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    file = full.open("wb", buffering=0)
    monkeypatch.setattr(record_writer, "open_file", lambda path: file)
    with file, pytest.warns(UserWarning, match="TensorBoard tracks no more.*No space left"):
        _, state = train_run(run, track=["tensorboard"])
    assert state.step == 18
