"""Accidents that befall files: bits flip, bytes are lost or put in, numbers and words exchanged."""

import re
from collections.abc import Callable
from random import Random

_LONGEST = 99  # bytes of one accident
_VALUES = [
    *(b"0", b"-1", b"1", b"3", b"255", b"65536", b"2147483648", b"18446744073709551616", b"9" * 30),
    *(b"0.5", b"-0.0", b"1e400", b"1e-400", b"NaN", b"nan", b"inf", b"null", b"true", b"True"),
    *(b'""', b'"x"', b"''", b"[]", b"[1, 2]", b"{}", b"()", b"(1,)", b'"mlp"', b"|O", b"<f8"),
]
_TOKENS = [*_VALUES, b"[", b"{", b"(", b'"', b"'", b"\n", b"\x00", b"=", b",", b".", b"\xff"]
_VALUE = re.compile(rb"-?\d+(\.\d+)?|\"[^\"\n]*\"|'[^'\n]*'|true|false|True|False|null")
_AT_MOST = 3  # accidents of a file


def mutated(whole: bytes, random: Random) -> bytes:
    """What becomes of a whole file after one to three accidents."""
    content = bytearray(whole)
    for _ in range(random.randint(1, _AT_MOST)):
        random.choice(_ACCIDENTS)(content, random.randint(0, max(0, len(content) - 1)), random)
    return bytes(content)


def _flip(content: bytearray, at: int, random: Random) -> None:
    if content:
        content[at] ^= 1 << random.randint(0, 7)


def _byte(content: bytearray, at: int, random: Random) -> None:
    if content:
        content[at] = random.choice([0, 1, 127, 128, 255, random.randint(0, 255)])


def _cut(content: bytearray, at: int, random: Random) -> None:
    del content[at:]


def _remove(content: bytearray, at: int, random: Random) -> None:
    del content[at : at + random.randint(1, _LONGEST)]


def _repeat(content: bytearray, at: int, random: Random) -> None:
    content[at:at] = content[at : at + random.randint(1, _LONGEST)]


def _token(content: bytearray, at: int, random: Random) -> None:
    content[at:at] = random.choice(_TOKENS)


def _value(content: bytearray, at: int, random: Random) -> None:
    """Of a text: a number or a word becomes another one."""
    found = _VALUE.search(content, at) or _VALUE.search(content)
    if found:
        content[found.start() : found.end()] = random.choice(_VALUES)


_ACCIDENTS: list[Callable[[bytearray, int, Random], None]] = [
    *(_flip, _byte, _cut, _remove, _repeat, _token, _value, _value),
]
