"""What `elboroom train --explain` says, with the machine's abilities faked."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from elboroom import Dataset
from elboroom.config import DataConfig, ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.data import Part, load_data
from elboroom.data.binarisation import Binarisation
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.limits import time_budget
from elboroom.training.loop import ELBO
from elboroom.training.speed.explain import explain
from elboroom.training.speed.threads import restore_thread_count
from tests.support.command import Command

FREE = TrainConfig()
MODEL = VAE.from_config(ModelConfig(), (1, 28, 28), generator=stream(0, "weights"))


def explained(part: Part, config: TrainConfig, objective: ObjectiveConfig = ELBO) -> dict[str, str]:
    return explain(MODEL, part, config, objective, 6_000)


def machine(monkeypatch: pytest.MonkeyPatch, *, cuda: bool = False, bfloat16: bool = False) -> None:
    monkeypatch.setattr("elboroom.device.compiler.shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("elboroom.device.compiler.find_spec", lambda name: object())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "A100")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bfloat16)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": bfloat16})


@restore_thread_count()
def test_a_processor_without_bfloat16(mnist: Dataset, monkeypatch: pytest.MonkeyPatch):
    machine(monkeypatch)
    torch.set_num_threads(4)
    assert explained(mnist.train, FREE) == {
        "device": "cpu: PyTorch finds no CUDA device",
        "matrix products": "float32: cpu multiplies bfloat16 only by converting to float32; "
        "weights and sums stay float32",
        "threads": "4, or 1 while that is faster, for example while another process keeps a core",
        "networks": "uncompiled: compiling would take longer than it saves",
        "steps": "run one by one",
        "data": "60,000 images as uint8, 44.9 MiB, all on cpu",
    }


def test_tables_have_rows(monkeypatch: pytest.MonkeyPatch):
    machine(monkeypatch)
    found = explained(Part(torch.zeros(40, 784), None), FREE)["data"]
    assert found == "40 rows as float32, 122.5 KiB, all on cpu"


def test_a_processor_with_bfloat16(mnist: Dataset, monkeypatch: pytest.MonkeyPatch):
    machine(monkeypatch, bfloat16=True)
    found = explained(mnist.train, FREE)["matrix products"]
    assert found.startswith("bfloat16: cpu multiplies bfloat16 natively")


def test_a_card(mnist: Dataset, monkeypatch: pytest.MonkeyPatch):
    machine(monkeypatch, cuda=True, bfloat16=True)
    found = explained(replace(mnist.train, binarisation=Binarisation("dynamic")), FREE)
    assert found["device"] == "cuda (A100): PyTorch finds a CUDA device"
    assert found["matrix products"].startswith("bfloat16: cuda")
    assert found["threads"] == f"{torch.get_num_threads()}, the number that PyTorch chose"
    assert found["steps"].startswith("recorded as a CUDA graph")
    assert found["data"].endswith("all on cuda, its pixels drawn on cuda at every visit")


def test_what_was_asked_for(mnist: Dataset, monkeypatch: pytest.MonkeyPatch):
    machine(monkeypatch, bfloat16=True)
    found = explained(mnist.train, TrainConfig(device="cpu", precision="fp32", threads=3))
    assert found["device"] == "cpu, as requested"
    assert found["matrix products"] == "float32, as requested"
    assert found["threads"] == "3, as requested"


def test_networks_that_are_worth_compiling(mnist: Dataset, monkeypatch: pytest.MonkeyPatch):
    machine(monkeypatch)
    config, iwae = TrainConfig(batch_size=100), ObjectiveConfig("iwae", k=50)
    # 6,000 steps of 100 · 50 · 784 pixels at 0.7 ns, and 0.8 ms a step
    assert explained(mnist.train, config, iwae)["networks"] == (
        "compiled with the whole step, which saves about 21 s in 6,000 steps, by measurements on "
        "two cores with AVX-512"
    )
    forbidden = explained(mnist.train, replace(config, compile="off"), iwae)
    assert forbidden["networks"] == "uncompiled, as requested"
    wanted = explained(mnist.train, replace(config, compile="on"))
    assert wanted["networks"] == "compiled with the whole step, as requested"
    moved = explained(mnist.train, replace(config, compile="on", shift=2))
    assert moved["networks"] == "compiled, as requested"


def test_a_machine_without_a_compiler(mnist: Dataset, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    config, iwae = TrainConfig(epochs=100, device="cpu"), ObjectiveConfig("iwae", k=50)
    found = explained(mnist.train, config, iwae)["networks"]
    assert found.startswith("uncompiled: there is no C++ compiler ")


def test_the_command_explains_and_trains_nothing(
    elboroom: Command, small: list[str], tmp_path: Path
):
    outcome = elboroom("train", *small, "--explain", "--out", tmp_path / "run")
    assert (outcome.code, outcome.err) == (0, "")
    lines = dict(line.split(": ", 1) for line in outcome.out.splitlines())
    read = ["read", "values", "labels", "split", "likelihood", "arrays", "preset"]
    machine = ["memory", "device", "matrix products", "threads", "networks", "steps", "data"]
    assert list(lines) == [*read, *machine]
    assert lines["threads"] == "1, as requested"
    assert not (tmp_path / "run").exists()


def test_minutes_are_explained_by_the_epochs_that_they_allow(
    elboroom: Command, small: list[str], monkeypatch: pytest.MonkeyPatch
):
    machine(monkeypatch)
    steps = partial(time_budget.TimePlan, pace=0.01, end=42_000)
    monkeypatch.setattr(
        "elboroom.cli.train.start_plan", lambda plan, *rest: (steps(plan.minutes), 0.0)
    )
    many = ["--objective", "iwae", "--k", "5000", "--device", "cpu"]
    outcome = elboroom("train", *small, *many, "--minutes", "5", "--explain")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    fit = "as many as fit into 5 minutes at 0.01 s a step, or all of --epochs"
    assert f"epochs: about 7e+03, {fit}" in lines
    # 42,000 steps of 50 · 5,000 · 64 pixels at 0.7 ns, and 0.8 ms a step
    saved = "compiled with the whole step, which saves about 504 s in 42,000 steps"
    assert f"networks: {saved}, by measurements on two cores with AVX-512" in lines


def test_images_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    np.save(tmp_path / "x.npy", np.arange(800, dtype=np.uint8).reshape(50, 4, 4))
    part = load_data(DataConfig(source=str(tmp_path / "x.npy"), memory=0.0)).train
    machine(monkeypatch, cuda=True, bfloat16=True)
    found = explained(part, FREE)
    assert found["steps"] == "run one by one: a CUDA graph cannot read from disk"
    assert found["data"] == "45 images on disk, too large for --memory, read in batches"
