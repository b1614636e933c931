import pytest

from elboroom.errors import ElboroomError


def test_an_error_states_what_happened_why_and_the_fix():
    error = ElboroomError("it fell", why="it was\n\tdropped", fix="catch “it”")
    assert str(error) == "it fell\n  why: it was\n\tdropped\n  fix: catch “it”"


@pytest.mark.parametrize(
    ("character", "escaped"),
    [
        ("\x1b", r"\x1b"),
        ("\r", r"\r"),
        ("\x00", r"\x00"),
        ("\u202e", r"\u202e"),
        ("\ud800", r"\ud800"),
    ],
)
def test_control_characters_are_escaped(character: str, escaped: str):
    assert (
        str(ElboroomError(f"a{character}b", why="c", fix="d")) == f"a{escaped}b\n  why: c\n  fix: d"
    )


def test_a_long_part_is_cut():
    error = ElboroomError("a", why="b" * 3_000, fix="c")
    assert str(error) == f"a\n  why: {'b' * 2_000}…\n  fix: c"
