"""The corpus: as a program, it prints what is wrong with the readers within bounds of memory."""

import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.hostile import (
    archives,
    arrays,
    columns,
    extras,
    folders,
    foreign,
    hub,
    pictures,
    runs,
    shards,
    tables,
)
from tests.hostile.case import bounded, fault

MODULES = (
    *(arrays, foreign, extras, pictures, folders, archives, tables, columns, shards, runs),
    hub,
)
CORPUS = [case for module in MODULES for case in module.CASES]


def main() -> None:
    """Print the faults of the corpus, and how many files it has."""
    warnings.simplefilter("error")
    with TemporaryDirectory() as folder:
        for number, case in enumerate(case for case in CORPUS if not case.told):
            (Path(folder) / f"whole {number}").mkdir()
            fault(case, Path(folder) / f"whole {number}")  # loads what readers need
        for number, case in enumerate(CORPUS):
            (Path(folder) / f"{number}").mkdir()
            clock = time.perf_counter()
            found = fault(case, Path(folder) / f"{number}", bounded)
            if found is not None:
                sys.stdout.write(f"{case.name}: {found}\n")
            if "--times" in sys.argv:
                sys.stdout.write(f"{time.perf_counter() - clock:.3f} {case.name}\n")
    sys.stdout.write(f"{len(CORPUS)} files\n")


if __name__ == "__main__":
    main()
