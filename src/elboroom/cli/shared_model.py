"""The model of a run, which is the same in all processes."""

from elboroom.device import world
from elboroom.model.vae import VAE
from elboroom.runs.run import Run


def load_shared_model(run: Run, *, best: bool) -> tuple[VAE, int]:
    """Load the model of a run, and return it with the step of its checkpoint.

    All processes take the model of the first one: the run may be in training, and others may find
    a newer checkpoint.

    Raises:
        RunError: as in `Run.load_model`.
        WorldError: if another process has ended.
    """
    (model, step), here = run.load_model_and_step(best=best), world()
    here.take_first(model.state_dict().values())
    run.load_partial_encoder(model)
    return model, int(here.bytes_of(str(step).encode()))
