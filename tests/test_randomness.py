import pytest
import torch

from elboroom.randomness import coarse_uniforms, normals, stream, uniforms


def first(*key):
    return torch.rand(4, generator=stream(*key)).tolist()


def test_a_stream_is_a_function_of_its_key():
    assert first(0, "step", 3) == first(0, "step", 3)


def test_streams_of_different_keys_differ():
    keys = [
        (0, "step", 3),
        (1, "step", 3),
        (0, "order", 3),
        (0, "step", 4),
        (0, "step"),
        (10, "step"),
    ]
    assert len({tuple(first(*key)) for key in keys}) == len(keys)


def test_streams_of_neighbouring_steps_are_uncorrelated():
    draws = torch.stack([torch.randn(100, generator=stream(0, "step", i)) for i in range(300)])
    correlation = (draws[1:] * draws[:-1]).mean()
    assert abs(correlation) < 4.5 / (299 * 100) ** 0.5
    assert abs((draws * draws).mean() - 1) < 4.5 * (2 / 30_000) ** 0.5


def test_any_seed_is_accepted():
    assert first(2**63 - 1, "weights") != first(0, "weights")


@pytest.mark.parametrize(("draw", "torch_draw"), [(normals, torch.randn), (uniforms, torch.rand)])
def test_draws_have_the_type_of_a_tensor_and_come_from_the_generator(draw, torch_draw):
    like = torch.zeros(1, dtype=torch.float64)
    found = draw((2, 3), like, stream(0, "draw"))
    assert torch.equal(found, torch_draw(2, 3, generator=stream(0, "draw"), dtype=torch.float64))


def test_coarse_values_have_sixteen_random_bits():
    u = coarse_uniforms((10_000, 4), torch.zeros(1), stream(0, "draw"))
    k = (u * 2**16 - 0.5).int()
    assert torch.equal(u, (k + 0.5) * 2**-16)
    bits = (k[..., None] >> torch.arange(16)) & 1
    assert (bits.float().mean(0) - 0.5).abs().max() < 4.5 * 0.5 / len(u) ** 0.5
    correlations = bits.flatten(1).float().T.corrcoef() - torch.eye(64)
    assert correlations.abs().max() < 5 / len(u) ** 0.5


@pytest.mark.parametrize("shape", [(), (0, 3), (3, 5)])
def test_coarse_values_have_any_shape(shape: tuple[int, ...]):
    found = coarse_uniforms(shape, torch.zeros(1, dtype=torch.float64), stream(0, "draw"))
    assert (found.shape, found.dtype) == (shape, torch.float64)
