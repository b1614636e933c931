"""`python -m benchmarks.tables [METHOD …]`: run cases that are not on disk, one after another.

`python -m benchmarks tables` then finds them there: the peers take hours.
"""

from itertools import product

import tyro

from benchmarks.tables import cases, data_sets, imputers


def main(
    methods: tyro.conf.Positional[tuple[str, ...]] = imputers.PEERS,
    splits: int = cases.SPLITS,
    tables: tuple[str, ...] = data_sets.NAMES,
) -> None:
    """Run the cases split by split.

    Args:
        methods: which imputers; all peers by default.
        splits: number of splits.
        tables: names of the tables; all by default.
    """
    for split, method in product(range(splits), methods):
        for case in cases.of(split):
            if case.table in tables and split < cases.splits_of(method, case.table):
                _try(case, method)


def _try(case: cases.Case, method: str) -> None:
    """Say what came of it; a peer that fails does not end the others."""
    try:
        print(case, method, cases.scored(case, method), flush=True)
    except RuntimeError as error:
        print(case, method, error, flush=True)


tyro.cli(main, prog="python -m benchmarks.tables")
