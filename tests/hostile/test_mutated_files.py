"""Whole files with bits flipped, bytes cut out, put in or swapped: what is read of them is of the
right types, or they are refused, within the bounds of memory and time of the corpus.
"""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.hostile.case import Reading, bounded, reading
from tests.hostile.mutations import mutated
from tests.hostile.targets import TARGETS, Target

Reader = tuple[Callable[[bytes], Reading], Target]
BOUNDS = bounded if sys.platform == "linux" else nullcontext  # by /proc


@pytest.fixture(scope="module", params=TARGETS)
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """One of the readers, and its seeds."""
    found: Target = TARGETS[request.param]
    place = tmp_path_factory.mktemp("mutated")
    read = found.reader(place)
    return lambda content: reading(lambda: read(content), place, BOUNDS), found


def test_whole_files_are_taken(target: Reader):
    read, whole = target
    found = [read(seed) for seed in whole.seeds.values()]
    assert [(one.said, one.fault) for one in found] == [(None, None)] * len(found)


def require_no_fault(target: Reader, random: Random) -> None:
    read, whole = target
    found = read(mutated(random.choice(list(whole.seeds.values())), random))
    assert found.fault is None


@given(random=st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_a_mutated_file_is_refused_or_of_the_right_types(target: Reader, random: Random):
    require_no_fault(target, random)


@pytest.mark.full
@given(random=st.randoms(use_true_random=False))
@settings(max_examples=250)
def test_many_mutated_files_are_refused_or_of_the_right_types(target: Reader, random: Random):
    require_no_fault(target, random)
