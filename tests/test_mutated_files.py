"""Whole files with bits flipped, bytes cut out, put in or swapped: what is read of them is of the
right types, or they are refused.
"""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutations import mutated
from targets import TARGETS, Read, Target, is_taken


@pytest.fixture(scope="module", params=TARGETS)
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """One of the readers, and its seeds."""
    found: Target = TARGETS[request.param]
    return found.reader(tmp_path_factory.mktemp("mutated")), found


def test_whole_files_are_taken(target: tuple[Read, Target]):
    read, whole = target
    assert all(is_taken(read, seed) for seed in whole.seeds.values())


@given(random=st.randoms(use_true_random=False))
@settings(max_examples=200)
def test_a_mutated_file_is_refused_or_of_the_right_types(
    target: tuple[Read, Target], random: Random
):
    read, whole = target
    is_taken(read, mutated(random.choice(list(whole.seeds.values())), random))
