"""Hostile folders of published models: their config, and weights that it names by their hash."""

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from elboroom import from_pretrained, save_pretrained
from elboroom.runs.checkpoints.manifest import MODEL, describe
from elboroom.runs.hub.pretrained_config import CONFIG
from elboroom.runs.partial_encoder_file import FILE as PARTIAL_ENCODER
from elboroom.runs.run import Run
from tests.hostile.case import Case
from tests.hostile.runs import WEIGHTS, with_partial_encoder
from tests.support.small_run import small_run

READ = "cannot be read"
FOREIGN = "is not a model of elboroom"


def published(folder: Path) -> Path:
    """Copy a published model with its partial encoder into a folder."""
    return Path(shutil.copytree(_template(), folder / "model"))


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    return save_pretrained(Run(with_partial_encoder(folder)), folder / "model")


def signed(path: Path) -> None:
    """Let the config name the weights as they are."""
    config = json.loads((path / CONFIG).read_text())
    config["weights"] |= describe((path / MODEL).read_bytes())
    (path / CONFIG).write_text(json.dumps(config))


def _with_config(edit: Callable[[bytes], bytes], folder: Path) -> Path:
    path = published(folder)
    (path / CONFIG).write_bytes(edit((path / CONFIG).read_bytes()))
    return path


def _with_weights(edit: Callable[[bytes], bytes], sign: bool, folder: Path) -> Path:
    path = published(folder)
    (path / MODEL).write_bytes(edit((path / MODEL).read_bytes()))
    if sign:
        signed(path)
    return path


def changed(table: str, **entries: Any) -> Callable[[bytes], bytes]:
    """Return an edit of a table of the config, or of its head; None takes an entry out."""

    def edit(whole: bytes) -> bytes:
        config = json.loads(whole)
        inner = config[table] if table else config
        inner |= entries
        for name in [name for name, value in entries.items() if value is None]:
            del inner[name]
        return json.dumps(config).encode()

    return edit


def _flipped(whole: bytes) -> bytes:
    return whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:]


def _widened(folder: Path) -> Path:
    """Make a config of networks of terabytes, with weights of 8 GiB that the disk does not hold."""
    path = _with_config(changed("model", hidden=[2**40]), folder)
    os.truncate(path / MODEL, 8 << 30)
    (path / CONFIG).write_bytes(changed("weights", size=8 << 30)((path / CONFIG).read_bytes()))
    return path


def _sparse(folder: Path) -> Path:
    path = _with_config(changed("weights", size=8 << 30), folder)
    os.truncate(path / MODEL, 8 << 30)
    return path


def _pipe(name: str, folder: Path) -> Path:
    path = published(folder)
    (path / name).unlink(missing_ok=True)
    os.mkfifo(path / name)
    return path


def _without(name: str, folder: Path) -> Path:
    path = published(folder)
    (path / name).unlink()
    return path


def _partial(edit: Callable[[bytes], bytes], folder: Path) -> Path:
    path = published(folder)
    (path / PARTIAL_ENCODER).write_bytes(edit((path / PARTIAL_ENCODER).read_bytes()))
    return path


def _pickled(folder: Path) -> Path:
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04\x95" + bytes(2_000))
    return folder


def _linked(folder: Path) -> Path:
    """Make a folder as the cache of the Hub has it."""
    path = published(folder)
    for name in (CONFIG, MODEL):
        (path / name).rename(folder / name)
        (path / name).symlink_to(folder / name)
    return path


CONFIGS: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("nothing", lambda whole: b"", READ),
    ("megabytes", lambda whole: whole + b" " * (2 << 20), "at most 1,048,576 are allowed"),
    ("nested deeply", lambda whole: b'{"a":' * 30_000, "nested too deeply"),
    ("a name twice", lambda whole: b'{"format": 1, "format": 1}', "gives a name twice"),
    ("of another library", lambda whole: b'{"model_type": "bert"}', "the model type bert"),
    ("of nobody", lambda whole: b'{"a": 1, "b": [2]}', "found a, b in its config.json"),
    ("of nothing", lambda whole: b"{}", "found nothing in its config.json"),
    (
        "a model type that is a bomb",
        lambda w: b'{"model_type": "\\u001b[31m' + b"x" * 9_000 + b'"}',
        FOREIGN,
    ),
    ("a newer format", changed("", format=2, elboroom_version="9.0"), "elboroom 9.0 wrote it"),
    ("format 0", changed("", format=0), "has format 0"),
    ("a format that is text", changed("", format="1"), "format cannot be '1'"),
    ("no format", changed("", format=None), READ),
    ("an unknown table", changed("", code="x"), "unknown option code"),
    ("no model", changed("", model=None), "model is missing"),
    ("a model that is a list", changed("", model=[1]), "model cannot be [1]"),
    ("an option of a later version", changed("model", later=1), "unknown option later"),
    ("widths that are text", changed("model", hidden="5"), "hidden cannot be '5'"),
    ("a width of 0", changed("model", hidden=[0]), "widths of 1 or more"),
    ("terabytes", changed("model", hidden=[2**40]), "the networks of config.json take at least"),
    (
        "components of terabytes",
        changed("model", prior="mixture", components=2**40),
        "take at least",
    ),
    ("columns of nothing", changed("model", likelihood="columns"), "column"),
    ("code", changed("model", network="os:getcwd"), "are made by code, os:getcwd"),
    ("an event of nothing", changed("", event_shape=[]), "an event cannot have the shape ()"),
    ("an event of floats", changed("", event_shape=[1.0]), "event_shape cannot be"),
    ("an event of terabytes", changed("", event_shape=[2**40]), "take at least"),
    ("an event of others", changed("", event_shape=[1, 4, 5]), "size mismatch"),
    ("a negative seed", changed("weights", seed=-1), "seed must be in"),
    ("a hash that is a number", changed("weights", sha256=3), "sha256 cannot be 3"),
    ("another hash", changed("weights", sha256="0" * 64), "config.json expects 0000000000000000"),
    ("another size", changed("weights", size=3), "config.json expects 3"),
    ("no weights", changed("", weights=None), "weights is missing"),
    ("values that are none", changed("data", values="x"), "values cannot be 'x'"),
]
_SIGNED = ("another shape", "another type", "a tensor more", "a header of 2^63 bytes", "a pickle")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
CASES = [
    *(Case(f"hub config {n}", partial(_with_config, e), from_pretrained, t) for n, e, t in CONFIGS),
    *(
        Case(
            f"hub weights {name}",
            partial(_with_weights, edit, True),
            from_pretrained,
            READ if told == "no checkpoint of" else told,
        )
        for name, edit, told in WEIGHTS
        if name in _SIGNED
    ),
    Case(
        "hub weights cut short",
        partial(_with_weights, lambda w: w[:-9], False),
        from_pretrained,
        "config.json expects",
    ),
    Case(
        "hub weights a flipped bit",
        partial(_with_weights, _flipped, False),
        from_pretrained,
        "its SHA-256 begins",
    ),
    Case(
        "hub weights a pointer",
        partial(_with_weights, lambda w: POINTER, False),
        from_pretrained,
        "run `git lfs pull`",
    ),
    Case("hub weights of 8 GiB", _sparse, from_pretrained, "is 8,589,934,592 bytes long"),
    Case("hub weights of 8 GiB, of others", _widened, from_pretrained, "take at least"),
    Case("hub no weights", partial(_without, MODEL), from_pretrained, READ),
    Case("hub no config", partial(_without, CONFIG), from_pretrained, "it has no config.json"),
    Case("hub a pipe for weights", partial(_pipe, MODEL), from_pretrained, "a pipe or a device"),
    Case(
        "hub a pipe for a config", partial(_pipe, CONFIG), from_pretrained, "it has no config.json"
    ),
    Case(
        "hub a partial encoder cut short",
        partial(_partial, lambda w: w[:-9]),
        from_pretrained,
        READ,
    ),
    Case("hub a pickle", _pickled, from_pretrained, "weights in a pickle are never read"),
    Case(
        "hub a run", lambda folder: small_run(folder / "run"), from_pretrained, "open it as a run"
    ),
    Case("hub a whole folder", published, from_pretrained, ""),
    Case("hub a folder of links", _linked, from_pretrained, ""),
]
