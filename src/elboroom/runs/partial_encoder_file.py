"""partial-encoder.safetensors of a run: a partial encoder of one model, and what it was made from.

One file is whole or not there. Its metadata name the weights of the model by their fingerprint, and
its own weights by theirs, which detects a flipped bit. Nothing is pickled.
"""

import json
import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save as save_tensors

from elboroom.config import AmortiseConfig, ModelConfig, PartialFamilyName
from elboroom.config.typed_tables import read as read_table
from elboroom.errors import command
from elboroom.model.fingerprint import fingerprint
from elboroom.model.partial_encoder import PartialEncoder
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs.atomic import write_file
from elboroom.runs.checkpoints.tensors import largest_file, read_tensors
from elboroom.runs.read_errors import read_errors
from elboroom.training.amortisation import Look
from elboroom.untrusted import open_file, parse_json, read_bytes

FILE = "partial-encoder.safetensors"
_MANIFEST = "elboroom"  # the name of the manifest in the metadata
_LENGTH = 8  # bytes that give the length of the header
_LARGEST_HEADER = 1 << 20  # bytes
_MOST_ENTRIES = 1 << 10  # bytes of the manifest, besides the header of the tensors


@dataclass(frozen=True)
class Manifest:
    """The origin of a partial encoder.

    Attributes:
        model: fingerprint of the model's weights.
        weights: fingerprint of its own.
        family: the family of r.
        data_share: the share of its pairs that were rows of the data.
        data_draws: the draws of q for each of these.
        step: step of the training that it is from.
        seed: seed of that training.
        loss: its mean −log r(z | x_seen, m) of held-out pairs, in nats.
    """

    model: str
    weights: str
    family: PartialFamilyName
    data_share: float
    data_draws: int
    step: int
    seed: int
    loss: float


def write(
    run: Path, model: VAE, partial: PartialEncoder, config: AmortiseConfig, look: Look
) -> Path:
    """Write the partial encoder of a model, in the place of an earlier one.

    Raises:
        DiskError: if it cannot be written.
    """
    made_from = Manifest(
        fingerprint(model),
        fingerprint(partial.module),
        config.family,
        config.data_share,
        config.draws_for(is_ladder=model.is_ladder),
        look.step,
        config.seed,
        look.loss,
    )
    tensors = {n: t.detach().cpu().contiguous() for n, t in partial.module.state_dict().items()}
    content = save_tensors(tensors, {_MANIFEST: json.dumps(asdict(made_from))})
    write_file(run / FILE, content)
    return run / FILE


def read(run: Path, config: ModelConfig, model: VAE) -> tuple[PartialEncoder, Manifest] | None:
    """Read the partial encoder of a model; None if there is none, or it is of other weights.

    Warn of one that is of other weights.

    Args:
        run: folder of the run.
        config: options of the networks.
        model: the model, on any device.

    Raises:
        RunError: if the file cannot be read, or does not match its own fingerprint.
    """
    path = run / FILE
    if not path.exists():
        return None
    with read_errors(path):
        manifest = read_manifest(path)
        if manifest.model != fingerprint(model):
            _warn_of_other_weights(run)
            return None
        options = config, manifest.family
        partial = PartialEncoder.from_config(model, *options, generator=stream(0, "unused"))
        expected = partial.module.state_dict()
        content = read_bytes(path, largest_file(expected) + _MOST_ENTRIES)
        partial.module.load_state_dict(read_tensors(content, expected))
        if fingerprint(partial.module) != manifest.weights:
            raise ValueError("its weights do not match their fingerprint")
    partial.module.to(next(model.parameters()).device)
    return partial, manifest


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of a file, and none of its tensors.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has no manifest.
        KeyError: the same.
        UsageError: the manifest lacks an entry, or one has another type.
    """
    with open_file(path) as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        if length > min(_LARGEST_HEADER, os.fstat(file.fileno()).st_size):
            raise ValueError(f"its header would be {length:,} bytes long")
        header: Any = parse_json(file.read(length))
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    text = metadata.get(_MANIFEST) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ValueError("it has no manifest")
    return read_table(Manifest, parse_json(text.encode()))


def _warn_of_other_weights(run: Path) -> None:
    warnings.warn(
        f"the partial encoder of {run} is of other weights, and is not used; "
        f"`{command('amortise', run)}` trains one of these",
        stacklevel=4,
    )
