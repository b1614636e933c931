"""manifest.json of a checkpoint: its step, its held-out ELBO, the size and the hash of each file.

The weights and the moments are safetensors files, which do not detect a flipped bit by themselves.
The manifest detects one in them, and in itself by a hash of its own.
"""

import hashlib
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elboroom.runs.checkpoints import listing
from elboroom.untrusted import open_file, parse_json, read_bytes

MODEL, OPTIMISER, MANIFEST = "model.safetensors", "optimizer.safetensors", "manifest.json"
UNREADABLE = (OSError, ValueError, TypeError, KeyError, RuntimeError)
"""Errors that a damaged checkpoint may cause."""
_LARGEST = 1 << 16  # bytes
_DIGITS = 16  # enough of a SHA-256 to tell models apart


@dataclass(frozen=True)
class Manifest:
    """The content of a manifest that matches its own hash.

    Attributes:
        step: step of the checkpoint.
        held_out_elbo: nats per image; None within an epoch, or if it was not evaluated.
        files: size in bytes and SHA-256 of each file, by name.
        weights_step: step after which the weights were as they are: that of the best epoch where
            training ended with those weights, else that of the checkpoint.
    """

    step: int
    held_out_elbo: float | None
    files: dict[str, Any]
    weights_step: int


def build(
    step: int,
    held_out_elbo: float | None,
    files: dict[str, bytes],
    weights_step: int | None = None,
) -> bytes:
    """Return the manifest of a checkpoint with these files."""
    return encode(step, held_out_elbo, {n: describe(files[n]) for n in files}, weights_step)


def describe(content: bytes) -> dict[str, Any]:
    """Return the size and the hash of a file."""
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def encode(
    step: int,
    held_out_elbo: float | None,
    files: dict[str, Any],
    weights_step: int | None = None,
) -> bytes:
    """Return a manifest as JSON, with a hash of itself.

    It holds `weights_step` only where the weights are older than the checkpoint.
    """
    content = {"step": step, "held_out_elbo": held_out_elbo, "files": files}
    content |= {} if weights_step in (None, step) else {"weights_step": weights_step}
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return json.dumps(content | {"sha256": digest}, indent=2).encode()


def read(path: Path) -> Manifest:
    """Read the manifest of the checkpoint at `path`.

    Raises:
        ValueError: if it is damaged, or if it belongs to a checkpoint with another name.
    """
    content = read_bytes(path / MANIFEST, _LARGEST)
    found = parse_json(content)
    step, elbo, files = found["step"], found["held_out_elbo"], found["files"]
    weights_step = found.get("weights_step", step)
    if content != encode(step, elbo, files, weights_step):
        raise ValueError("its manifest does not match its own hash")
    if elbo is not None and not (isinstance(elbo, float) and math.isfinite(elbo)):
        raise ValueError(f"its manifest has the held-out ELBO {elbo}")
    if type(step) is not int or path.name != listing.name(step, listing.position(path)[1]):
        raise ValueError(f"its manifest is for step {step}")
    if type(weights_step) is not int or not 0 <= weights_step <= step:
        raise ValueError(f"its manifest has the weights of step {weights_step}")
    return Manifest(step, elbo, files, weights_step)


def verify(path: Path) -> None:
    """Check every byte of the checkpoint at `path`, without holding a whole file in memory.

    Raises:
        ValueError: if a file does not match the manifest.
    """
    manifest = read(path)
    for name in (MODEL, OPTIMISER):
        described = manifest.files[name]
        with open_file(path / name) as file:
            whole = os.fstat(file.fileno()).st_size == described["size"]  # another size is not read
            if not whole or hashlib.file_digest(file, "sha256").hexdigest() != described["sha256"]:
                raise ValueError(f"{name} does not match its manifest")


def find_damage(path: Path) -> str | None:
    """Verify the checkpoint at `path`; return what is wrong, or None if it is whole."""
    try:
        verify(path)
    except UNREADABLE as error:
        return str(error)
    return None


def weights_digits(path: Path) -> str | None:
    """Return the first 16 digits of the SHA-256 of the weights; None if they cannot be read."""
    try:
        return read(path).files[MODEL]["sha256"][:_DIGITS]
    except UNREADABLE:
        return None


def weights_step(path: Path) -> int | None:
    """Return the step after which the weights were as they are; None if it cannot be read."""
    try:
        return read(path).weights_step
    except UNREADABLE:
        return None
