import torch

from elboroom.infer.fitting.prior_draws import PriorDraws
from elboroom.infer.fitting.starting_points import starting_points
from elboroom.infer.target import Target
from tests.support.fit_cases import TwoModes, generator, pictures, small_vae


def problem(latents=2, rows=5):
    model, (x, mask) = small_vae(4, latents), pictures(rows, seed=1)
    target = Target.of(model, x, mask)
    return target, torch.randn(rows, latents, generator=generator(2), dtype=torch.float64)


def starts(target, guesses, count):
    return starting_points(target, guesses, PriorDraws.scattered(target, generator()), count)


def test_the_first_start_is_likelier_than_nearly_all_of_the_prior():
    target, encoded = problem()
    points = starts(target, encoded[None], 1)
    assert points.shape == (1, 5, 2)
    others = target.model.prior(1).sample(10_000, generator(3)).expand(-1, 5, -1)
    share = (target.log_joint(points) < target.log_joint(others)).double().mean(0)
    assert (share < 0.005).all()
    assert (target.log_joint(points)[0] >= target.log_joint(encoded)).all()


def test_starts_come_in_order_and_lie_apart():
    target, encoded = problem()
    points = starts(target, encoded[None], 4)
    log_joint = target.log_joint(points)
    assert (log_joint[:-1] >= log_joint[1:]).all()
    distance = torch.cdist(points.transpose(0, 1), points.transpose(0, 1))
    assert (distance + 9 * torch.eye(4)).min() >= 1


def test_the_encoders_mean_wins_where_it_is_the_likeliest():
    target, encoded = problem(latents=6)
    # In six dimensions few draws come close to a mode, which is where this encoder looks.
    for _ in range(100):
        encoded = encoded + 0.1 * target.gradient(encoded)
    points = starts(target, encoded[None], 2)
    found = (points[0] == encoded).all(-1)
    assert found[1:].all()
    assert not (points[1] == encoded).all(-1).any()


def test_both_modes_are_started_from():
    case = TwoModes(2)
    x, mask = case.data(20, seed=4)
    far = torch.full((20, 2), 50.0).double()
    points = starts(Target.of(case.model, x, mask), far[None], 2)
    assert (points[:, :, 0].sign().sum(0) == 0).all()


def test_rows_share_the_draws_but_not_the_choice(monkeypatch):
    target, encoded = problem(rows=9)
    together = starts(target, encoded[None], 3)
    rows = torch.tensor([7, 2])
    alone = starts(target.rows(rows), encoded[None, rows], 3)
    assert torch.equal(alone, together[:, rows])
    monkeypatch.setattr("elboroom.infer.fitting.starting_points._ROWS", 4)
    assert torch.equal(starts(target, encoded[None], 3), together)
    assert len(together[0].unique(dim=0)) > 4


def test_the_likeliest_of_many_guesses_wins():
    target, encoded = problem(latents=6)
    for _ in range(100):
        encoded = encoded + 0.1 * target.gradient(encoded)
    guesses = torch.stack([encoded + 3, encoded, encoded - 3])
    points = starts(target, guesses, 1)
    assert (points[0] == encoded).all(-1)[1:].all()
