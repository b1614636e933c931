"""What ranks tell each other, for `test_ranks.py`: each reports what it got."""

from typing import Any

import torch

from elboroom.device import World, joined
from tests.support.ranks import report


def told(here: World) -> dict[str, Any]:
    rank, speaks = here.rank, here.size - 1
    parts = [
        {"z": torch.arange(2) + 10 * rank, "by": f"Ω{rank}", "a": torch.ones(0, dtype=torch.bool)}
    ]
    own = parts * rank  # none, one and two of them
    taken = torch.full((2, 3), float(rank)).T
    here.take_first([taken])
    gathered, spread = here.gather(own), here.spread(own)
    return {
        "sum": here.sum(torch.tensor([1.0, rank])).tolist(),
        "any": [here.any(rank == speaks), here.any(False)],
        "least": here.least(5 - rank),
        "first text": [here.first_text("" if rank < 1 else f"r{rank}"), here.first_text("")],
        "bytes": list(here.bytes_of(b"abc" if rank == 0 else b"xy")),
        "bytes of the last": here.bytes_of(f"{rank}".encode(), speaks).decode(),
        "gathered": [[*part, part["by"], part["z"].tolist()] for part in gathered],
        "spread": [[*part, part["by"], part["z"].tolist()] for part in spread],
        "taken": taken.unique().tolist(),
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    with joined() as world:
        report(told(world))
