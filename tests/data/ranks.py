"""A rank that loads shards: as a program, it prints what it opened and what it found as JSON."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from elboroom import DataConfig, load_data
from elboroom.config import ModelConfig, TrainConfig
from elboroom.config.run import Config
from elboroom.data import sharing
from elboroom.device import ALONE, joined
from elboroom.errors import ElboroomError
from elboroom.training.initial_model import new_model


def main(source: str, out: str, memory: float, *, planted: bool) -> None:
    """Load the data and make the initial model; planted, each rank reads all and tells nothing."""
    opened = set[str]()

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and str(arguments[0]).endswith(".npy"):
            opened.add(Path(str(arguments[0])).name)

    sys.addaudithook(watch)
    if planted:
        sharing.sharers.__code__ = (lambda: ALONE).__code__
    with joined() as here:
        found: dict[str, Any] = {}
        try:
            data = load_data(DataConfig(source, memory=memory))
            config = Config(
                data=DataConfig(source),
                model=ModelConfig(likelihood="gaussian", hidden=(4,), data_bias=True),
                train=TrainConfig(epochs=1),
            )
            found = {
                "identity": data.identity.to_dict(),
                "range": [data.reading.scan.low, data.reading.scan.high, data.reading.scan.missing]
                if data.reading
                else None,
                "notes": data.reading.notes if data.reading else None,
                "weights": {n: t.tolist() for n, t in new_model(config, data).state_dict().items()},
            }
        except ElboroomError as error:
            found = {"error": str(error)}
        found["opened"] = sorted(opened)
        Path(out, f"{here.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), planted="planted" in sys.argv)
