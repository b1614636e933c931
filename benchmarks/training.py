"""Training: elboroom and its peers on the same arrays, from the same weights, one evaluator.

Nobody is fast by being wrong: beside each time stands the test ELBO that it bought.
"""

import statistics
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from benchmarks import networks, peers, profile, roofline, scaling, svi_side_by_side
from benchmarks.peers.problem import Layers, Problem
from benchmarks.results import Row
from benchmarks.side_by_side import (
    COMPILED,
    EAGER,
    PROGRAMS,
    Finish,
    Setting,
    bounds_of,
    busy_core,
    problem_of,
    run,
    side_by_side,
)
from elboroom import Dataset, load_mnist
from elboroom.config import Split
from elboroom.device import resolve_precision

_A = Setting((400,), 20, "softplus", batch=128, images=59_904, epochs=6)
_B = Setting((500,), 2, "tanh", batch=200, images=10_000, epochs=10)
_C = Setting((200, 200), 50, "tanh", batch=100, images=10_000, epochs=4, particles=50)
_SMALL = replace(_A, images=12_288, epochs=4)
_ALL = [name for name in PROGRAMS if name != EAGER]
_NOT_JIT = [name for name in _ALL if name != "Pyro, jit"]
_WITH_PARTICLES = _NOT_JIT  # Pyro, jit has no RenyiELBO
_BATCHES, _WIDTHS, _PARTICLES = (32, 128, 512, 2_048), (100, 1_600), (5, 20)
_CURVES = ("elboroom", COMPILED, "NumPyro", "flax", "plain PyTorch")
_BOUNDS = {  # times faster than a peer, compiled as those of long runs are: reach, aim
    "a": {"NumPyro": (1.1, 1.5), "Pyro": (2.5, 3.5), "pythae": (2.5, 4.0)},
    "b": {},
    "c": {"pythae": (3.3, 5.0)},
    "batch 32": {"NumPyro": (0.75, 1.0)},
    "width 100": {"NumPyro": (0.7, 1.0)},
}
_WHOLE = 100  # epochs of the reference experiment
_ORIGINAL = 15.0  # seconds an epoch of its own loop, on another machine
_SVI_IMAGES = 1_000
_NATS = "nats per image"


def measure(quick: bool) -> Iterator[Row]:
    """Measure all rows; `quick` takes few images, two epochs and one repeat, and judges nothing."""
    for row in _rows(quick):
        yield replace(row, reach=None) if quick else row


def _rows(quick: bool) -> Iterator[Row]:
    peers.install()
    repeats = 1 if quick else 3
    data, reference = _mnist("standard", quick), _mnist("reference", quick)
    a, b, c = _sized(_A, 6_400, quick), _sized(_B, 2_000, quick), _sized(_C, 200, quick)
    of_a = side_by_side(a, data, _ALL, repeats)
    yield from _of_setting("a", a, of_a, data)
    yield from profile.rows(f"(a) {a.name}, batch {a.batch}", a, data)
    yield from _of_setting("b", b, side_by_side(b, reference, _ALL, repeats), reference)
    yield from _reference_experiment(replace(b, epochs=2 if quick else _WHOLE), reference, repeats)
    yield from _of_setting("c", c, side_by_side(c, data, _WITH_PARTICLES, repeats), data)
    yield from profile.rows(f"(c) {c.name}, batch {c.batch}, K = {c.particles}", c, data)
    yield from svi_side_by_side.rows(_svi_problem(of_a["elboroom"][0], data, quick), repeats, quick)
    yield from _curves(data, quick)
    yield from networks.rows(quick)
    yield from _with_a_busy_core(data, quick, repeats)
    yield from scaling.rows(quick)


def _mnist(split: Split, quick: bool) -> Dataset:
    data = load_mnist(split=split)
    return replace(data, test=data.test.rows(list(range(500)))) if quick else data


def _sized(setting: Setting, images: int, quick: bool) -> Setting:
    return replace(setting, images=images, epochs=2) if quick else setting


def _of_setting(
    letter: str, setting: Setting, found: dict[str, list[Finish]], data: Dataset
) -> list[Row]:
    """Compare the programs: what each took, and the bounds that it reached."""
    what = f"({letter}) {setting.name}, batch {setting.batch}"
    bounds = {name: [bounds_of(f, data) for f in found[name]] for name in found}
    rows, fastest = _limits(what, setting)
    for name in found:
        rows += _of_program(f"{what}: {name}", setting, found[name], fastest)
        rows.append(
            Row(f"{what}: {name}, test ELBO", [e for e, _ in bounds[name]], _NATS, at_least=True)
        )
        if setting.particles > 1:
            rows.append(
                Row(f"{what}: {name}, test IWAE bound", [i for _, i in bounds[name]], _NATS)
            )
    rows += _ratios(letter, what, found)
    ours = [bound[_maximised(setting)[0]] for bound in bounds["elboroom"]]
    return [*rows, _above_eager(what, setting, ours, data)]


def _above_eager(what: str, setting: Setting, ours: list[float], data: Dataset) -> Row:
    """Compare with the same draws without bfloat16 and without a compiler, seed by seed."""
    which, name = _maximised(setting)
    runs = [run(EAGER, problem_of(setting, data, seed)) for seed in range(len(ours))]
    gained = [a - bounds_of(b, data)[which] for a, b in zip(ours, runs, strict=True)]
    name = f"{what}: test {name} above that of eager fp32"
    return Row(name, gained, _NATS, -0.3, at_least=True)


def _maximised(setting: Setting) -> tuple[int, str]:
    """Return which of the two bounds was maximised, and its name."""
    return (1, "IWAE bound") if setting.particles > 1 else (0, "ELBO")


def _limits(what: str, setting: Setting) -> tuple[list[Row], float]:
    """Measure matrix products; return the rows, and the seconds of an epoch at the faster rate."""
    native = resolve_precision("auto", torch.device("cpu"))
    rates = {t: roofline.rate(setting, t) for t in dict.fromkeys((torch.float32, native))}
    names = {torch.float32: "fp32", torch.bfloat16: "bf16"}
    rows = [
        Row(f"{what}: matrix products, {names[t]}", [r / 1e9], "GFLOP/s") for t, r in rates.items()
    ]
    fastest = roofline.operations(setting) / max(rates.values())
    return [*rows, Row(f"{what}: an epoch of matrix products alone", [fastest], "s")], fastest


def _of_program(what: str, setting: Setting, found: list[Finish], fastest: float) -> list[Row]:
    steady = [f.steady for f in found]
    return [
        Row(f"{what}, cold start to the end of the first epoch", [f.cold for f in found], "s"),
        Row(f"{what}, each epoch after the first", steady, "s"),
        Row(f"{what}, pace", [setting.images / s for s in steady], "images/s", at_least=True),
        Row(
            f"{what}, share of the roofline",
            [100 * fastest / s for s in steady],
            "%",
            at_least=True,
        ),
        Row(f"{what}, peak memory", [f.peak for f in found], "MiB"),
    ]


def _ratios(letter: str, what: str, found: dict[str, list[Finish]]) -> list[Row]:
    """Divide a peer's epoch by ours of the same round; Pyro counts by its faster variant."""
    steady = {name: [f.steady for f in of] for name, of in found.items()}
    ours = {name: steady.pop(name) for name in ("elboroom", COMPILED)}
    both = [steady.pop(name) for name in ("Pyro", "Pyro, jit") if name in steady]
    steady |= {"Pyro": min(both, key=statistics.median)} if both else {}
    rows = []
    for peer, theirs in steady.items():
        for name, mine in ours.items():
            ratios = [b / a for a, b in zip(mine, theirs, strict=True)]
            bounds = _BOUNDS.get(letter, {}).get(peer) if name == COMPILED else None
            reach, aim = bounds or (None, None)
            rows.append(
                Row(f"{what}: {name}, times faster than {peer}", ratios, "×", reach, aim, True)
            )
    return rows


def _reference_experiment(setting: Setting, data: Dataset, repeats: int) -> list[Row]:
    """Run all epochs of it, and its original recipe, N(0, 0.01²) weights, by a plain loop."""
    ours = [run("elboroom", problem_of(setting, data, seed)) for seed in range(repeats)]
    recipe = problem_of(setting, data, 0)
    noise = np.random.default_rng(0)
    theirs = run("plain PyTorch", _tiny_weights(recipe, noise))
    what = f"(b) reference experiment, {setting.epochs} epochs"
    recipe_of = f"{what}: the original's recipe, plain PyTorch"
    whole = [f.whole for f in ours]
    original = [_ORIGINAL * setting.epochs / s for s in whole]
    return [
        Row(f"{what}, from process start: elboroom", whole, "s"),
        Row(
            f"{what}: elboroom, test ELBO",
            [bounds_of(f, data)[0] for f in ours],
            _NATS,
            at_least=True,
        ),
        Row(recipe_of, [theirs.whole], "s"),
        Row(f"{recipe_of}, test ELBO", [bounds_of(theirs, data)[0]], _NATS, at_least=True),
        Row(
            f"{what}: times faster than the original's 15 s an epoch elsewhere",
            original,
            "×",
            60,
            100,
            True,
        ),
    ]


def _tiny_weights(problem: Problem, noise: np.random.Generator) -> Problem:
    def tiny(layers: Layers) -> Layers:
        draw = lambda like: noise.normal(0, 0.01, like.shape).astype(np.float32)  # noqa: E731
        return [(draw(weight), draw(bias)) for weight, bias in layers]

    return replace(problem, encoder=tiny(problem.encoder), decoder=tiny(problem.decoder))


def _svi_problem(trained: Finish, data: Dataset, quick: bool) -> Problem:
    images = data.test.rows(list(range(100 if quick else _SVI_IMAGES))).x
    layers = {"encoder": trained.encoder, "decoder": trained.decoder}
    x = images.flatten(1).to(torch.uint8).numpy()
    return replace(problem_of(_A, data, 0), x=x, **layers)


def _curves(data: Dataset, quick: bool) -> list[Row]:
    """Measure (e): pace against batch size, width and K, the others as in (a): 128, 400, 1."""
    middle = _sized(_SMALL, 2_048, quick)
    settings = {f"batch {b}": replace(middle, batch=b) for b in _BATCHES}
    settings |= {f"width {w}": replace(middle, hidden=(w,)) for w in _WIDTHS}
    settings |= {f"K = {k}": replace(middle, particles=k) for k in _PARTICLES}
    rows = list[Row]()
    for name, setting in settings.items():
        found = side_by_side(setting, data, _CURVES[:1] if quick else _CURVES, 1)
        for program, (finish,) in found.items():
            paces = [setting.images / s for s in finish.epochs]
            rows.append(Row(f"(e) {name}: {program}", paces, "images/s", at_least=True))
        rows += [] if quick else _ratios(name, f"(e) {name}", found)
    return rows


def _with_a_busy_core(data: Dataset, quick: bool, repeats: int) -> list[Row]:
    """Repeat (a), in turn on a quiet machine and beside a process that takes one core."""
    problem = problem_of(_sized(replace(_A, epochs=3), 6_400, quick), data, 0)
    slower: dict[str, list[float]] = {name: [] for name in (_CURVES if quick else _NOT_JIT)}
    for _ in range(repeats):
        for name in slower:
            quiet = run(name, problem).steady
            with busy_core():
                slower[name].append(run(name, problem).steady / quiet)
    return [
        Row(
            f"(a) beside a busy process, an epoch over a quiet one: {name}",
            factors,
            "×",
            *((1.6, 1.4) if name == "elboroom" else (None, None)),
        )
        for name, factors in slower.items()
    ]
