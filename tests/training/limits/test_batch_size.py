"""`--batch-size auto`."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from elboroom import VAE, ModelConfig, ObjectiveConfig, Run, TrainConfig, train
from elboroom.data import Dataset, Identity, Part
from elboroom.data.binarisation import Binarisation
from elboroom.errors import UsageError
from elboroom.randomness import stream
from elboroom.training.limits import batch_size, memory
from elboroom.training.limits.batch_size import BatchSize, largest_fit
from elboroom.training.limits.memory import step_bytes, weight_bytes
from elboroom.training.loop import ELBO
from tests.support.command import Command
from tests.support.outcomes import error, last_checkpoint, metrics

AUTO = TrainConfig(batch_size="auto", device="cpu")
PIXELS, HIDDEN = 40, 30


def new_model(**options) -> VAE:
    config = ModelConfig(hidden=(HIDDEN,), **options)
    return VAE.from_config(config, (PIXELS,), generator=stream(0, "weights"))


def part_of(images: int, **options) -> Part:
    return Part(torch.rand(images, PIXELS).round(), None, **options)


def fit(free: int, monkeypatch, *, images: int = 1_000, k: int = 1) -> BatchSize:
    monkeypatch.setattr(batch_size, "free_memory", lambda device: free)
    objective = ObjectiveConfig("iwae", k=k) if k > 1 else ELBO
    return largest_fit(new_model(), part_of(images), AUTO, objective=objective)


PLENTY = 1 << 40


def needed(part: Part) -> tuple[int, int]:
    """Return the bytes for each image and those for any batch."""
    model = new_model()
    each, fixed = step_bytes(model, part, AUTO, ELBO)
    return each, fixed + 15 * weight_bytes(model)


@pytest.mark.parametrize(("images", "size"), [(1_000, 512), (512, 512), (511, 256), (1, 1)])
def test_no_more_images_are_taken_than_there_are_nor_than_512(monkeypatch, images: int, size: int):
    assert fit(PLENTY, monkeypatch, images=images).size == size


@pytest.mark.parametrize("size", [1, 64, 512])
def test_the_largest_that_needs_half_of_the_free_memory_is_taken(monkeypatch, size: int):
    each, fixed = needed(part_of(1_000))
    enough = 2 * (fixed + size * each)
    assert fit(enough, monkeypatch) == BatchSize(size, fixed + size * each, enough, "rows")
    if size > 1:
        assert fit(enough - 2, monkeypatch).size == size // 2
    else:
        with pytest.raises(UsageError, match="a step on one row takes about"):
            fit(enough - 2, monkeypatch)


@pytest.mark.parametrize("k", [1, 5])
def test_what_a_step_needs_is_a_few_times_its_layers(monkeypatch, k: int):
    found = fit(PLENTY, monkeypatch, k=k)
    # float32: the image, a hidden layer of the encoder, and k of one and of pixels of the decoder
    layers = 4 * found.size * (PIXELS + HIDDEN + k * (HIDDEN + PIXELS))
    assert 2 * layers < found.needed < 6 * layers


def test_the_saved_bytes_grow_in_proportion_to_the_images():
    model, part = new_model(), part_of(1_000)
    kept = [memory._saved_bytes(model, part, AUTO, ELBO, images) for images in (8, 16, 512)]
    assert kept[2] - kept[0] == 63 * (kept[1] - kept[0])
    assert kept[1] > kept[0]


def test_the_parameters_count_with_gradient_and_moments():
    numbers = 4 * sum(p.numel() for p in new_model().parameters())
    _, fixed = needed(part_of(100))
    assert 15 * numbers <= fixed <= 18 * numbers  # and as far as a backward pass reads them


@pytest.mark.parametrize(
    "options", [{"normalisation": "batch"}, {"prior": "mixture"}, {"posterior": "flow"}]
)
def test_the_model_and_the_global_generator_stay_as_they_are(options):
    model, part = new_model(**options), part_of(100)
    before = torch.random.get_rng_state()
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    largest_fit(model, part, AUTO, objective=ELBO)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(p.grad is None for p in model.parameters())


def test_images_go_to_a_card_with_the_model(monkeypatch):
    monkeypatch.setattr(batch_size, "resolve_device", torch.device)
    monkeypatch.setattr(memory, "resolve_device", torch.device)
    monkeypatch.setattr(batch_size, "free_memory", lambda device: PLENTY)
    part = part_of(1_000)
    model = new_model()
    here = largest_fit(model, part, AUTO, objective=ELBO)
    there = largest_fit(model, part, replace(AUTO, device="cuda"), objective=ELBO)
    checkpoints = 9 * 4 * sum(p.numel() for p in model.parameters())  # stay on the processor
    assert there.needed - (here.needed - checkpoints) == 4 * 1_000 * PIXELS


def test_missing_and_redrawn_pixels_are_no_obstacle(monkeypatch):
    monkeypatch.setattr(batch_size, "free_memory", lambda device: PLENTY)
    part = part_of(100, binarisation=Binarisation("dynamic", missing=True))
    assert largest_fit(new_model(), part, AUTO, objective=ELBO).size == 64


def test_unknown_free_memory_asks_for_a_number(monkeypatch):
    monkeypatch.setattr(batch_size, "free_memory", lambda device: None)
    with pytest.raises(UsageError) as found:
        largest_fit(new_model(), part_of(10), AUTO, objective=ELBO)
    assert str(found.value) == (
        "--batch-size auto found no batch size that fits\n"
        "  why: this system does not report how much memory is free\n"
        "  fix: give --batch-size a number"
    )


def test_training_refuses_auto():
    part = part_of(10)
    data = Dataset(Identity("ones", "", "none", "standard", 10), part, None, part)
    with pytest.raises(UsageError, match=r'^found batch_size="auto"; training expects a number'):
        train(new_model(), data, AUTO)


def test_a_run_with_auto_is_the_run_with_the_number_that_was_found(
    elboroom: Command, small: list[str], trained: Path, tmp_path: Path, monkeypatch
):
    fit = BatchSize(50, 1, 2, "images")
    monkeypatch.setattr("elboroom.training.resolve.largest_fit", lambda *_, **__: fit)
    run = tmp_path / "run"
    outcome = elboroom("train", *small, "--batch-size", "auto", "--out", run)
    assert outcome.code == 0
    assert "\n--batch-size auto: 50 images a step\nepoch 1/2 " in outcome.err
    assert Run(run).config == Run(trained).config
    assert last_checkpoint(run) == last_checkpoint(trained)
    assert metrics(run) == metrics(trained)
    assert elboroom("train", "--resume", run, "--quiet") == (0, "", "")


def test_a_resumed_run_keeps_its_number(elboroom: Command, run: Path):
    outcome = elboroom("train", "--resume", run, "--batch-size", "auto")
    assert (
        error(outcome, 2)[0]
        == "found other options with --resume; expected none, or more --epochs alone"
    )


def test_the_choice_is_explained(elboroom: Command, small: list[str], monkeypatch):
    found = BatchSize(128, 5 << 20, 3 << 30, "images")
    monkeypatch.setattr("elboroom.training.resolve.largest_fit", lambda *_, **__: found)
    lines = elboroom("train", *small, "--batch-size", "auto", "--explain").out.splitlines()
    first, second = lines[-8:-6]
    assert first == (
        "batches: 128 images a step, which takes about 5.0 MiB; 3.0 GiB is free; the "
        "limits are 50% of it and 512 images"
    )
    assert second.startswith("memory: ")
