"""A posterior is one of its model: of these weights, wherever they come from."""

import copy
import io
import pickle

import pytest
import torch

from elboroom import infer
from elboroom.errors import UsageError
from tests.support.fit_cases import generator, pictures, small_vae

X, MASK = pictures(2, seed=1)
USES = {
    "complete": lambda *given: infer.complete(*given, draws=2, generator=generator()),
    "score": lambda *given: infer.completion_score(*given, draws=20, generator=generator()),
    "own score": lambda *given: infer.predictive_score(*given, draws=20, generator=generator()),
}


def inferred(method=infer.encoder):
    model = small_vae(1, 2)
    return model, method(model, X, MASK, generator=generator())


def reloaded(model):
    """The model, saved and loaded into one of other weights."""
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    found = small_vae(2, 2)
    found.load_state_dict(torch.load(file))
    return found


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("same", [copy.deepcopy, reloaded])
def test_a_copy_of_the_model_is_the_model(use, same):
    model, posterior = inferred()
    use(same(model), X, MASK, posterior)
    use(model, X, MASK, pickle.loads(pickle.dumps(posterior)))


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("other", [small_vae(2, 2), small_vae(1, 3), small_vae(1, 2).float()])
def test_a_posterior_of_another_model_is_refused(use, other):
    _, posterior = inferred()
    with pytest.raises(UsageError, match="it was inferred with other weights"):
        use(other, X, MASK, posterior)


@pytest.mark.parametrize("part", ["encoder", "decoder"])
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_model_that_was_trained_further_is_another(use, part):
    model, posterior = inferred()
    weight = next(getattr(model, part).parameters())
    weight.data.flatten()[0] += 1e-6
    with pytest.raises(UsageError, match="have changed since, as by training"):
        use(model, X, MASK, posterior)


@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_densities_of_a_model_that_was_trained_further_are_refused(mask):
    model = small_vae(1, 2)
    fit, exact = (f(model, X, mask, generator=generator()) for f in (infer.encoder, infer.grid))
    z = fit.mean
    uses = (lambda: exact.log_prob(z), lambda: exact.kl(fit.q), lambda: fit.log_weights(3))
    for use in uses:
        assert use().isfinite().all()
    next(model.decoder.parameters()).data.mul_(1.1)
    for use in uses:
        with pytest.raises(UsageError, match="have changed since"):
            use()
