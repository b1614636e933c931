"""Ranks that load shards, for `test_sharing.py`: each reports what it opened and what it found."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from elboroom import DataConfig, load_data
from elboroom.config import ModelConfig, TrainConfig
from elboroom.config.run import Config
from elboroom.data import sharing
from elboroom.device import ALONE, joined
from elboroom.errors import ElboroomError
from elboroom.training.initial_model import new_model

COLUMNS = ("gaussian", "student-t", "gaussian", "gaussian", "negative-binomial")

_opened = set[str]()


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and str(arguments[0]).endswith(".npy"):
        _opened.add(Path(str(arguments[0])).name)


def _loaded(source: str, memory: float) -> dict[str, Any]:
    """Load the data and make the initial model."""
    data = load_data(DataConfig(source, memory=memory))
    model = ModelConfig(likelihood="gaussian", hidden=(4,), data_bias=True)
    config = Config(data=DataConfig(source), model=model, train=TrainConfig(epochs=1))
    models = {"weights": new_model(config, data)}
    if data.event_shape == (5,):
        table = ModelConfig(likelihood="columns", columns=COLUMNS, hidden=(4,))
        models["table"] = new_model(Config(model=table), data)
    assert data.reading is not None
    scan = data.reading.scan
    return {
        "identity": data.identity.to_dict(),
        "range": [scan.low, scan.high, scan.missing],
        "notes": data.reading.notes,
    } | {
        name: {n: t.tolist() for n, t in model.state_dict().items()}
        for name, model in models.items()
    }


@contextmanager
def _reading_all() -> Iterator[None]:
    """Let each rank read everything and tell nothing: the planted bug."""
    code = sharing.sharers.__code__
    sharing.sharers.__code__ = (lambda: ALONE).__code__
    yield
    sharing.sharers.__code__ = code


def found(source: str, memory: float) -> dict[str, Any]:
    """What this rank finds in a source, and the shards that it opens for it."""
    _opened.clear()
    try:
        result = _loaded(source, memory)
    except ElboroomError as error:
        result = {"error": str(error)}
    return result | {"opened": sorted(_opened)}


if __name__ == "__main__":
    sys.addaudithook(_watch)
    out, *sources = sys.argv[1:]
    with joined() as here:
        results = {source: found(source, 0.0) for source in sources}
        with _reading_all():
            results["planted"] = found(sources[0], 0.0)
        results["in memory"] = found(next(s for s in sources if s.endswith("cut")), 2.0)
        Path(out, f"{os.environ.get('RANK', '0')}.json").write_text(json.dumps(results))
