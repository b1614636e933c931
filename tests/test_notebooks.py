"""A notebook: what it shows, its progress, and what an interrupt leaves behind."""

from collections.abc import Iterator

import pytest

from tests.support.notebook import Cell, Notebook, notebook

BEGIN = """
import sys
import elboroom
import torch
from elboroom import Dataset, ModelConfig, TrainConfig, VAE, train
from elboroom.training import new_state

x = (torch.rand(400, 1, 6, 6, generator=torch.Generator().manual_seed(0)) < 0.3).float()
data = Dataset.from_arrays(x)
options = ModelConfig(likelihood="bernoulli", hidden=(8,), latents=2)
config = TrainConfig(epochs=100_000, batch_size=50, compile="off", threads=1, device="cpu")

def new():
    noise = torch.Generator().manual_seed(0)
    return VAE.from_config(options, data.event_shape, generator=noise)

model = new()
"""
GO_ON = """
state = sys.last_value.state
end = state.step + 20
train(model, data, config, state=state, stop=lambda: state.step == end)
whole = new()
again = new_state(whole, config)
train(whole, data, config, state=again, stop=lambda: again.step == end)
pairs = zip(model.state_dict().values(), whole.state_dict().values(), strict=True)
print(model.training, all(torch.equal(a, b) for a, b in pairs), len(state.history) > 0)
"""


def is_updated(cell: Cell) -> bool:
    return bool(cell.updates)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """Start one kernel for all tests: each takes seconds."""
    with notebook(tmp_path_factory.mktemp("notebook")) as found:
        assert found.run(BEGIN) == Cell()
        yield found


def test_an_interrupted_training_goes_on_bit_for_bit(kernel: Notebook):
    cell = kernel.run("train(model, data, config, progress=True)", interrupt=is_updated)
    assert cell.error is not None
    assert cell.error[0] == "TrainingInterrupted"
    assert "training was interrupted after step" in cell.error[1]
    (bar,) = cell.shown  # which is updated in its place
    assert "<progress" in bar["text/html"]
    assert "ELBO" in cell.updates[-1]["text/plain"]
    assert cell.text == ""
    assert kernel.run(GO_ON).text == "False True True\n"


def test_the_last_value_of_a_cell_is_shown_as_html(kernel: Notebook):
    (shown,) = kernel.run("data").shown
    assert '<th scope="row">train</th><td>360</td>' in shown["text/html"]
    assert shown["text/plain"].startswith("<Dataset: arrays; each image of 1 × 6 × 6;")


@pytest.mark.full
def test_a_figure_is_shown_once(kernel: Notebook):
    code = "elboroom.figures.samples(x[:4].numpy(), x[4:8].numpy())"
    (shown,) = kernel.run(code).shown
    assert "image/png" in shown
    (again,) = kernel.run(f"import matplotlib.pyplot\n{code}").shown
    assert "image/png" in again


@pytest.mark.full
def test_an_interrupted_evaluation_brings_the_finished_rows(kernel: Notebook):
    code = "elboroom.evaluate(model, data, k=100_000, seed=0, part='train', progress=True)"
    cell = kernel.run(f"before = model.training\n{code}", interrupt=lambda cell: bool(cell.shown))
    assert cell.error is not None
    assert cell.error[0] == "EvaluationInterrupted"
    assert len(cell.shown) == 1
    same = "model.training == before"
    assert kernel.run(f"print({same}, torch.is_grad_enabled())").text == "True True\n"


@pytest.mark.full
def test_an_interrupted_chain_leaves_the_model_as_it_was(kernel: Notebook):
    before = "kept = [p.clone() for p in model.parameters()]\n"
    chain = "elboroom.infer.hmc(model, x, generator=torch.Generator(), draws=10**5, progress=True)"
    cell = kernel.run(before + chain, interrupt=is_updated)
    assert cell.error == ("KeyboardInterrupt", "")
    same = "all(torch.equal(a, b) and b.requires_grad for a, b in zip(kept, model.parameters()))"
    assert kernel.run(f"print({same}, torch.is_grad_enabled())").text == "True True\n"


@pytest.mark.full
def test_an_interrupted_run_is_saved_and_goes_on(kernel: Notebook):
    begin = (
        "from elboroom import Config, Run\n"
        "run = Run.create('run', Config(model=options, train=config), data)\n"
    )
    cell = kernel.run(f"{begin}elboroom.train_run(run, data, progress=True)", interrupt=is_updated)
    assert cell.error is not None
    assert cell.error[0] == "TrainingInterrupted"
    go_on = (
        "step = sys.last_value.state.step\n"
        "steps = []\n"
        "stop = lambda: len(steps) == 5 or steps.append(1)\n"
        "loaded, state = elboroom.train_run(Run('run'), data, stop=stop)\n"
        "print(state.step - step, run.load_model().latents)"
    )
    assert kernel.run(go_on).text == "5 2\n"
