"""Whole files with bits flipped, bytes cut out, put in or swapped: what is read of them is of the
right types, or they are refused.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targets import TARGETS, Read, Target, is_taken

TOKENS = [
    b"0",
    b"9" * 30,
    b"-",
    b"true",
    b"[",
    b"{",
    b'"',
    b"'",
    b"\n",
    b"NaN",
    b"\x00",
    b"=",
    b".",
]


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """`whole` after one to three accidents."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        kind = draw(st.sampled_from(["flip", "byte", "cut", "remove", "insert", "token", "repeat"]))
        if kind == "flip" and content:
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte" and content:
            content[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del content[at:]
        elif kind == "remove":
            del content[at : at + draw(st.integers(1, 9))]
        elif kind == "insert":
            content[at:at] = draw(st.binary(min_size=1, max_size=9))
        elif kind == "token":
            content[at:at] = draw(st.sampled_from(TOKENS))
        else:
            content[at:at] = content[at : at + draw(st.integers(1, 99))]
    return bytes(content)


@pytest.fixture(scope="module", params=TARGETS)
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """One of the readers, and its seeds."""
    found: Target = TARGETS[request.param]
    return found.reader(tmp_path_factory.mktemp("mutated")), found


def test_whole_files_are_taken(target: tuple[Read, Target]):
    read, whole = target
    assert all(is_taken(read, seed) for seed in whole.seeds.values())


@given(data=st.data())
@settings(max_examples=200)
def test_a_mutated_file_is_refused_or_of_the_right_types(
    target: tuple[Read, Target], data: st.DataObject
):
    read, whole = target
    seed = data.draw(st.sampled_from(sorted(whole.seeds)))
    is_taken(read, data.draw(mutated(whole.seeds[seed])))
