"""A run that is looked at: its model, the rows that are shown, and where these lie in z."""

import math
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from elboroom.config import MethodName
from elboroom.data import Part
from elboroom.errors import UsageError
from elboroom.explorer.plane import PCA, Plane
from elboroom.explorer.tones import Tones
from elboroom.figures.subject import is_picture
from elboroom.infer.fitting.prior_draws import KeptDraws
from elboroom.infer.grid import MOST_LATENTS, KeptTiles
from elboroom.infer.posterior_means import posterior_means
from elboroom.model.likelihoods import Likelihood
from elboroom.model.posteriors import MOST_DENSE
from elboroom.model.priors.moments import prior_moments
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.runs.run import Run

_SHOWN_ROWS = 10_000
_SHOWN_ROWS_BEYOND = 1_000  # of models with more than 300 latents, whose encoder takes longer
_FITS = ("laplace", "svi", "sir")  # methods that decode some z again and again
_STEPS, _DECODED_BY_STEP = 100, 64  # of a fit: convolutions in colour took so many on two cores
_LONG = 2.0  # seconds: strokes do not wait longer for their posterior

Kind = Literal["pictures", "table", "vectors"]


@dataclass(frozen=True)
class ExploredRun:
    """A run whose model and data are in memory; nothing of it is changed.

    Attributes:
        key: the name that the interface gives it.
        name: the name that people know it by.
        run: the run.
        model: its model, on the CPU.
        step: the step of the model's checkpoint.
        part: the rows that are shown, those of the test part.
        total: how many rows the test part has.
    """

    key: str
    name: str
    run: Run
    model: VAE
    step: int
    part: Part
    total: int

    @classmethod
    def open(
        cls, key: str, run: Run, *, best: bool, data: str | None = None, name: str | None = None
    ) -> "ExploredRun":
        """Load the model and the test part of a run.

        Args:
            key: the name that the interface gives it.
            run: the run.
            best: take the checkpoint of the largest held-out ELBO.
            data: where the run's data are now, if they were moved or renamed.
            name: the name that people know it by; None takes that of its folder.

        Raises:
            RunError: if the model cannot be loaded.
            DataError: if the data cannot.
        """
        model, step = run.load_model_and_step(best=best)
        run.load_partial_encoder(model)
        test = run.load_data(data).part("test")
        most = _SHOWN_ROWS if model.latents <= MOST_DENSE else _SHOWN_ROWS_BEYOND
        shown = test.rows(list(range(min(most, len(test)))))
        return cls(key, name or run.path.absolute().name, run, model.cpu(), step, shown, len(test))

    @property
    def kind(self) -> Kind:
        """The kind of a row."""
        if self.run.data.schema is not None:
            return "table"
        return "pictures" if is_picture(self.model.event_shape) else "vectors"

    @property
    def has_columns(self) -> bool:
        """True for a table, and for vectors whose values have densities of their own."""
        return self.kind != "pictures" and self.model.likelihood.density is not Likelihood

    @property
    def in_plane(self) -> bool:
        """True if the latents are a plane, on which posteriors are exact."""
        return self.model.latents == 2

    @property
    def methods(self) -> list[MethodName]:
        """The methods of inference that this model has, the usual one first."""
        fits: list[MethodName] = ["laplace", "svi", "encoder", "sir", "hmc"]
        exact: list[MethodName] = ["grid"] if self.model.latents <= MOST_LATENTS else []
        partial: list[MethodName] = (
            [] if self.model.partial_encoder is None else ["partial-encoder"]
        )
        # The modes of hundreds of latents take seconds; a partial encoder takes one pass.
        return partial + fits if self.model.latents > MOST_DENSE else exact + fits + partial

    def is_slow(self, method: MethodName | None) -> bool:
        """Return True for a method that takes seconds with this model; None is the usual one."""
        method = method or self.methods[0]
        is_large = self.model.latents > MOST_DENSE
        takes_long = is_large or self._seconds_of_a_fit > _LONG
        return method == "hmc" or (takes_long and method in _FITS)

    @cached_property
    @torch.no_grad()
    def _seconds_of_a_fit(self) -> float:
        """The usual time of a fit of one row, from that of decoding."""
        z = torch.zeros(_DECODED_BY_STEP, self.model.latents)
        self.model.decode(z)  # the first takes longer
        clock = time.perf_counter()
        self.model.decode(z)
        return _STEPS * (time.perf_counter() - clock)

    @cached_property
    def kept_tiles(self) -> KeptTiles:
        """The decoded tiles of the plane, for exact posteriors."""
        return KeptTiles(self.model)

    @cached_property
    def kept_draws(self) -> KeptDraws:
        """The decoded draws of the prior, for the starts of fits."""
        return KeptDraws(self.model)

    @cached_property
    def tones(self) -> Tones:
        """The values that are drawn black and white."""
        return Tones.of(self.part, in_unit_interval=self.run.identity.in_unit_interval)

    @cached_property
    def means(self) -> Tensor:
        """E_q[z] of all rows that are shown, (N, D)."""
        return posterior_means(self.model, self.part)

    @property
    def axes(self) -> list[str]:
        """The names of the usual planes, the first by default."""
        latents = self.model.latents
        if latents == 1:
            return []
        return ["0,1"] if latents == 2 else [PCA, "0,1"]

    def plane(self, axes: str | None) -> Plane:
        """Return a plane by its name; None takes the first of `axes`.

        Raises:
            UsageError: if this model has none, or no such one.
        """
        if not self.axes:
            raise UsageError(
                "there is no plane of one latent",
                why="this model has one latent, and a plane has two axes",
                fix="explore a model with --latents 2 or more",
            )
        chosen = axes or self.axes[0]
        return self._components if chosen == PCA else Plane.of_latents(chosen, self.prior_mean)

    @cached_property
    def _components(self) -> Plane:
        return Plane.of_components(self.means)

    @cached_property
    def prior_mean(self) -> Tensor:
        """E_p[z], (D,)."""
        generator = stream(0, "centre of the prior")
        return prior_moments(self.model.prior, self.model.latents, generator)[0]

    def mean_of(self, row: int) -> Tensor:
        """Return E_q[z] of one row, (D,).

        Raises:
            UsageError: if there is no such row.
        """
        self._require_rows([row])
        return self.means[row]

    def rows(self, numbers: list[int]) -> Part:
        """Return some rows that are shown.

        Raises:
            UsageError: if there is no such row.
        """
        self._require_rows(numbers)
        return self.part.rows(numbers)

    def _require_rows(self, numbers: list[int]) -> None:
        if (most := max(numbers)) >= len(self.part):
            raise UsageError(
                f"there is no row {most}",
                why=f"found {most}; the rows that are shown are 0 to {len(self.part) - 1}",
                fix="name one of these",
            )

    def latents_of(self, z: list[list[float]]) -> Tensor:
        """Return given z as a tensor, (N, D).

        Raises:
            UsageError: if one does not have D numbers.
        """
        expected = self.model.latents
        if wrong := [len(one) for one in z if len(one) != expected]:
            raise UsageError(
                "this z does not fit the model",
                why=f"found {wrong[0]} numbers; expected {expected}",
                fix="give one number for each latent",
            )
        return torch.tensor(z, dtype=torch.float32)

    @property
    def values(self) -> int:
        """The number of values of a row."""
        return math.prod(self.model.event_shape)
