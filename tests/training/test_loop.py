import copy
import math
from dataclasses import replace

import pytest
import torch

from elboroom.config import Config, DataConfig, ModelConfig, ObjectiveConfig, TrainConfig
from elboroom.data import Dataset, Identity, Part, load_data
from elboroom.data.binarisation import Binarisation
from elboroom.errors import TrainingError, UsageError
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.held_out import held_out_elbo
from elboroom.training.loop import train
from elboroom.training.objective import bound
from elboroom.training.state import TrainState

QUICK = TrainConfig(epochs=3, batch_size=64, evaluate_every=1, device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def digits():
    """500 real digits to train on, 300 to test on."""
    data = load_data(DataConfig(split="reference"))
    return replace(
        data, train=data.train.rows(list(range(500))), test=data.test.rows(list(range(300)))
    )


def new_model(data, latents=2, hidden=(100,)):
    config = ModelConfig(latents=latents, hidden=hidden)
    return VAE.from_config(config, data.event_shape, generator=stream(0, "weights"))


def trained(data, config=QUICK, **hooks):
    model = new_model(data)
    return model, train(model, data, config, **hooks)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_the_elbo_of_real_digits_passes_a_bound(digits):
    _, state = trained(digits, replace(QUICK, epochs=40, learning_rate=3e-3))
    last = state.history[-1]
    p = digits.train.x.mean(0).clamp(1e-3, 1 - 1e-3)
    without_latent = torch.distributions.Bernoulli(p).log_prob(digits.test.x).sum((1, 2, 3)).mean()
    assert last.elbo > -175
    assert last.held_out_elbo > without_latent + 10
    assert last.elbo == pytest.approx(last.reconstruction - last.kl)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(digits):
    a, b = trained(digits)[0], trained(digits)[0]
    assert torch.equal(weights(a), weights(b))
    assert not torch.equal(weights(a), weights(trained(digits, replace(QUICK, seed=1))[0]))


def test_training_does_not_touch_the_global_random_state(digits):
    before = torch.get_rng_state()
    trained(digits)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("steps", [1, 8, 11, 16, 23])
def test_a_stopped_run_resumes_as_if_it_had_never_stopped(digits, steps):
    whole, state = trained(digits)
    asked = 0

    def stop():
        nonlocal asked
        asked += 1
        return asked > steps

    part, half = trained(digits, stop=stop)
    assert 0 < half.step < state.step
    resumed = train(part, digits, QUICK, state=half)
    assert torch.equal(weights(part), weights(whole))
    timeless = [[replace(m, images_per_second=0.0) for m in s.history] for s in (resumed, state)]
    assert timeless[0] == timeless[1]


def test_each_epoch_reports_its_means_and_is_followed_by_the_callback(digits):
    seen = []
    _, state = trained(digits, on_epoch=lambda s: seen.append(s.history[-1].epoch))
    assert seen == [1, 2, 3]
    assert [m.step for m in state.history] == [8, 16, 24]
    assert state.history[0].elbo < state.history[-1].elbo
    assert all(m.images_per_second > 0 for m in state.history)


def test_the_held_out_elbo_comes_every_so_many_epochs_and_at_the_end(digits):
    _, state = trained(digits, replace(QUICK, evaluate_every=2))
    assert [m.held_out_elbo is None for m in state.history] == [True, False, False]


def test_the_held_out_elbo_is_the_mean_over_images_whatever_the_batches(digits):
    model, repeats = new_model(digits), 40
    x = digits.test.x
    with torch.no_grad():
        many = bound(model, x, config=ObjectiveConfig(k=40), generator=stream(0, "reference"))
        one_sample = torch.stack(
            [
                bound(model, x, config=ObjectiveConfig(), generator=stream(0, "s", i)).elbo.mean()
                for i in range(repeats)
            ]
        )
    found = held_out_elbo(model, digits.test, QUICK, epoch=0)
    assert abs(found - many.elbo.mean().item()) < 4.5 * one_sample.std().item()


def test_a_short_last_batch_is_weighted_by_its_images():
    x = torch.cat([torch.zeros(1_000, 1, 2, 2), torch.ones(10, 1, 2, 2)]).to(torch.uint8)
    model = VAE.from_config(ModelConfig(1, ()), (1, 2, 2), generator=stream(0, "weights"))
    for p in model.parameters():
        p.data.zero_()
    model.decoder.trunk[-1].bias.data.fill_(2.0)  # log p(1) = −0.127, log p(0) = −2.127 a pixel
    expected = -4 * (1_000 * 2.126928 + 10 * 0.126928) / 1_010
    assert held_out_elbo(model, Part(x, None), QUICK, 0) == pytest.approx(expected, abs=1e-4)


def test_the_validation_part_is_evaluated_if_there_is_one(digits):
    ones = Part(torch.ones_like(digits.test.images), None)
    watched = replace(digits, validation=ones)
    assert watched.held_out == ("validation", ones)
    test_elbo = trained(digits)[1].history[-1].held_out_elbo
    assert trained(watched)[1].history[-1].held_out_elbo < test_elbo - 100


def test_dynamic_binarisation_draws_afresh_at_every_visit():
    images = torch.full((4, 1, 8, 8), 128, dtype=torch.uint8)
    grey = Part(images, None, Binarisation("dynamic", white=255.0))
    rows = torch.arange(4)
    first, second = (grey.batch(rows, stream(0, "step", i)) for i in range(2))
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(first, second)
    assert torch.equal(first, grey.batch(rows, stream(0, "step", 0)))


def test_beta_weighs_the_kl_in_the_gradient_but_not_in_the_metrics(digits):
    plain = trained(digits)[1].history[-1]
    warmed = trained(digits, replace(QUICK, warmup=3))[1].history[-1]
    assert warmed.beta == 1.0
    assert warmed.kl > plain.kl
    assert warmed.elbo == pytest.approx(warmed.reconstruction - warmed.kl)


def test_a_run_that_ends_before_the_warmup_warns(digits):
    with pytest.warns(UserWarning, match=r"ends at β = 0\.5, before the end of the warm-up"):
        trained(digits, replace(QUICK, epochs=1, warmup=2))


def test_a_run_that_ends_before_the_learning_rate_has_risen_warns(digits):
    said = r"ends at a learning rate of 0\.0005, .* Use --learning-rate-warmup 0\.1 or less"
    with pytest.warns(UserWarning, match=said):
        trained(digits, replace(QUICK, epochs=1, learning_rate_warmup=2.0))


def test_adam_takes_the_scheduled_rate(digits):
    # Adam's first step moves every weight with a gradient by the learning rate.
    model = new_model(digits)
    before = copy.deepcopy(model)
    config = replace(QUICK, schedule="cosine", epochs=1, learning_rate=0.01)
    asked = iter([False, True, True])
    train(model, digits, config, stop=lambda: next(asked))
    moved = (weights(model) - weights(before)).abs()
    assert moved.max() == pytest.approx(0.01, rel=1e-3)


def test_a_bound_that_is_not_finite_before_the_first_step_ends_training_with_an_error(digits):
    model = new_model(digits)
    model.decoder.trunk[-1].bias.data.fill_(math.nan)
    with pytest.raises(TrainingError, match=r"step 0 of epoch 1, the reconstruction term is nan"):
        train(model, digits, QUICK)


def test_pseudo_inputs_stay_in_the_range_of_images_and_can_come_back(digits):
    config = ModelConfig(hidden=(20,), prior="vamp", components=6)
    images = digits.train.x[:6].round()
    model = VAE.from_config(
        config, digits.event_shape, generator=stream(0, "weights"), images=images
    )
    train(model, digits, QUICK)
    u = model.prior.pseudo_inputs.detach()
    assert ((u >= 0) & (u <= 1)).all()
    assert not torch.equal(u, images)
    loss = -bound(model, images, config=ObjectiveConfig(), generator=stream(1, "z")).value.sum()
    loss.backward()
    gradient = model.prior.pseudo_inputs.grad
    at_edge = (u == 0) | (u == 1)
    assert 0.1 < at_edge.float().mean() < 1
    assert (gradient[at_edge] != 0).float().mean() > 0.9


def test_bfloat16_trains_as_well_as_float32(digits):
    config = replace(QUICK, epochs=10)
    elbos = [
        trained(digits, replace(config, precision=p))[1].history[-1].elbo for p in ("fp32", "bf16")
    ]
    assert elbos[0] == pytest.approx(elbos[1], abs=0.5)
    assert elbos[0] != elbos[1]


def test_gradients_of_the_loss_agree_with_finite_differences():
    model = VAE.from_config(ModelConfig(2, (3,)), (1, 2, 2), generator=stream(0, "w")).double()
    x = torch.tensor([[1.0, 0, 0, 1], [0, 1, 1, 1]]).double().view(2, 1, 2, 2)
    mask = torch.tensor([[True, True, False, True]]).view(1, 1, 2, 2).expand(x.shape)
    names, parameters = zip(*model.named_parameters(), strict=True)

    def loss(*values):
        swapped = dict(zip(names, values, strict=True))
        return torch.func.functional_call(
            _Loss(model), {f"model.{n}": v for n, v in swapped.items()}, (x, mask)
        )

    assert torch.autograd.gradcheck(loss, parameters)


class _Loss(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x, mask):
        config = ObjectiveConfig(beta=0.7)
        found = bound(self.model, x, mask, config=config, generator=stream(0, "fixed"))
        return -found.value.mean()


def test_any_event_shape_can_be_trained_on():
    identity = Identity("random", "0", "none", "standard", 20)
    bits = (torch.rand(60, 7, generator=stream(0, "bits")) < 0.5).to(torch.uint8)
    data = Dataset(identity, Part(bits[:40], None), None, Part(bits[40:], None))
    _, state = trained(data, replace(QUICK, batch_size=16))
    assert [m.step for m in state.history] == [3, 6, 9]


@pytest.fixture(scope="module")
def few() -> Dataset:
    """Return 20 binary rows of 4 to train on, 10 to test on."""
    x = torch.rand(30, 4, generator=torch.Generator().manual_seed(0)) < 0.5
    return Dataset.from_arrays(x[:20], x[20:])


def begun(few: Dataset) -> tuple[VAE, TrainState]:
    """Train a small model for an epoch of two steps."""
    model = new_model(few, hidden=(3,))
    return model, train(model, few, SHORT)


SHORT = TrainConfig(epochs=1, batch_size=10, threads=1, device="cpu", precision="fp32")
LONGER = replace(SHORT, epochs=2)


def of_another_run(model, state, few):
    other, _ = begun(few)
    return other, few, LONGER, state


def of_a_copy(model, state, few):
    return copy.deepcopy(model), few, LONGER, state


def of_a_larger_model(model, state, few):
    model.encoder.extra = torch.nn.Linear(1, 1)
    return model, few, LONGER, state


def of_fewer_rows(model, state, few):
    return model, replace(few, train=few.train.rows(list(range(10)))), LONGER, state


def of_another_batch_size(model, state, few):
    return model, few, replace(LONGER, batch_size=4), state


@pytest.mark.parametrize(
    ("case", "what"),
    [
        (of_another_run, "this state is of another model"),
        (of_a_copy, "this state is of another model"),
        (of_a_larger_model, "this state is of another model"),
        (of_fewer_rows, "this state is of a training on other data, or with another batch size"),
        (of_another_batch_size, "this state is of a training on other data"),
    ],
)
def test_a_state_that_is_not_of_this_training_is_refused(few, case, what):
    model, data, config, state = case(*begun(few), few)
    before = weights(model)
    with pytest.raises(UsageError, match=f"^{what}"):
        train(model, data, config, state=state)
    assert torch.equal(weights(model), before)
    assert (state.step, model.training) == (2, False)


def test_a_model_and_its_state_are_copied_together(few):
    model, state = begun(few)
    copied, its_state = copy.deepcopy((model, state))
    train(model, few, LONGER, state=state)
    train(copied, few, LONGER, state=its_state)
    assert torch.equal(weights(copied), weights(model))


@pytest.mark.parametrize(
    ("change", "found", "fix"),
    [
        ({"config": Config(train=SHORT)}, "a Config; expected a TrainConfig", "config.train"),
        ({"config": TrainConfig}, "the class TrainConfig", "TrainConfig(…)"),
        ({"config": {"epochs": 3}}, "a dict", "TrainConfig(…)"),
        ({"objective": Config()}, "a Config; expected a ObjectiveConfig", "config.objective"),
        ({"objective": "iwae"}, "a str", "ObjectiveConfig(…)"),
        ({"model": torch.nn.Linear(4, 2)}, "a Linear; expected a VAE", "VAE(encoder, decoder"),
        ({"model": VAE}, "the class VAE", "VAE(encoder, decoder"),
        ({"data": torch.zeros(9, 4)}, "a Tensor of shape (9, 4)", "Dataset.from_arrays"),
        ({"state": {}}, "a dict; expected a TrainState", "what `train` returned"),
        ({"on_step": [].append(0)}, "a NoneType; expected a function", "or omit it"),
        ({"stop": 5}, "a int; expected a function", "or omit it"),
    ],
)
def test_an_argument_of_another_type_is_named_with_the_fix(few, change, found, fix):
    arguments = {"model": new_model(few, hidden=(3,)), "data": few, "config": SHORT} | change
    with pytest.raises(UsageError) as error:
        train(**arguments)
    assert found in f"{error.value.what}: {error.value.why}"
    assert fix in error.value.fix
