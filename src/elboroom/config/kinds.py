"""The kinds that options name: each name stands here once, with a line of help.

Where a kind is implemented, a registry maps its name to the code: `model.networks`,
`model.likelihoods`, `model.priors`, `model.posteriors`, `infer.methods` and `data.formats`.
"""

from collections.abc import Mapping
from typing import Any, Literal

BinarisationName = Literal["auto", "threshold", "dynamic", "static", "none"]
BINARISATIONS: dict[BinarisationName, str] = {
    "auto": "threshold for mnist, none for other data",
    "threshold": "x > 0.5",
    "dynamic": "a fresh Bernoulli draw at every visit in training; the test set is drawn once",
    "static": "every row is drawn once",
    "none": "values stay as they are",
}

ValueKind = Literal["binary", "bytes", "unit", "real"]
VALUE_KINDS: dict[ValueKind, str] = {
    "binary": "0 and 1",
    "bytes": "levels k/255 of bytes",
    "unit": "real numbers in [0, 1]",
    "real": "real numbers",
}

Split = Literal["auto", "stratified", "standard", "reference"]
SPLITS: dict[Split, str] = {
    "auto": "standard for mnist, stratified for other data",
    "stratified": "the data's own parts; a part that they lack is drawn at random from train, a "
    "tenth for testing, with the shares of the classes, and with --group-by of whole groups",
    "standard": "as stratified, but drawn without classes; --validation takes the last rows",
    "reference": "the first 10,000 rows of train, tested on the next 10,000",
}

Crop = Literal["centre", "none", "pad"]
CROPS: dict[Crop, str] = {
    "centre": "cover the size, and cut off what is over at two sides",
    "none": "stretch to the size",
    "pad": "fit into the size, and fill up with the background",
}

Colour = Literal["auto", "grey", "rgb"]
COLOURS: dict[Colour, str] = {
    "auto": "grey if every pixel of every picture is grey, else rgb",
    "grey": "one channel, 0.299 R + 0.587 G + 0.114 B",
    "rgb": "three channels",
}

Broken = Literal["stop", "skip"]
BROKEN: dict[Broken, str] = {
    "stop": "the first one is an error that names it",
    "skip": "they are left out, counted, and some named",
}

ColumnType = Literal["real", "positive", "count", "binary", "category", "ordinal", "date", "ignore"]
COLUMN_TYPES: dict[ColumnType, str] = {
    "real": "numbers of any sign",
    "positive": "numbers above 0",
    "count": "whole numbers from 0",
    "binary": "one of two levels",
    "category": "one of some levels without an order",
    "ordinal": "one of some levels in an order",
    "date": "days, or days with a time",
    "ignore": "left out of the model, and written back as it stood",
}

TrackerName = Literal["tensorboard", "wandb", "mlflow"]
TRACKERS: dict[TrackerName, str] = {
    "tensorboard": "an event file in RUN/tensorboard",
    "wandb": "Weights & Biases, offline in RUN/wandb unless WANDB_MODE says otherwise",
    "mlflow": "MLflow, a database and files in RUN/mlflow",
}

PartName = Literal["train", "validation", "test", "all"]
PARTS: dict[PartName, str] = {
    "train": "the rows that the model is trained on",
    "validation": "the rows that training is watched by",
    "test": "the rows that are held out",
    "all": "every row, in the order of the source",
}

Activation = Literal["tanh", "relu", "silu", "softplus", "identity"]
ACTIVATIONS: dict[Activation, str] = {
    "tanh": "tanh x",
    "relu": "max(0, x)",
    "silu": "x σ(x)",
    "softplus": "log(1 + exp x)",
    "identity": "x",
}

Normalisation = Literal["none", "layer", "batch", "group"]
NORMALISATIONS: dict[Normalisation, str] = {
    "none": "no normalisation",
    "layer": "over the units of each row",
    "batch": "of each unit over the rows of a step; after training by running statistics; not for "
    "conv",
    "group": "over groups of 16 channels or more of each row; for conv alone",
}

Objective = Literal["elbo", "elbo-sampled", "iwae", "renyi"]
OBJECTIVES: dict[Objective, str] = {
    "elbo": "the ELBO, with the KL in closed form where the prior has one",
    "elbo-sampled": "the ELBO as the mean of log w, so that the KL is sampled too",
    "iwae": "the importance-weighted bound",
    "renyi": "the Rényi bound of order --alpha",
}

Gradient = Literal["plain", "stl", "dreg"]
GRADIENTS: dict[Gradient, str] = {
    "plain": "reparameterised",
    "stl": "sticking the landing, for elbo-sampled; its noise vanishes as q becomes the posterior",
    "dreg": "doubly reparameterised, for iwae and renyi",
}

OptimiserName = Literal["adam", "adamw", "adamax"]
OPTIMISERS: dict[OptimiserName, str] = {
    "adam": "scales each step by a mean of recent squared gradients",
    "adamw": "adam whose matrices and kernels also shrink, by --weight-decay",
    "adamax": "scales each step by the largest recent gradient, so that no weight moves by more "
    "than the learning rate; usual for deep hierarchies, at two to ten times adam's rate",
}

LearningRateSchedule = Literal["constant", "cosine", "one-cycle"]
LEARNING_RATE_SCHEDULES: dict[LearningRateSchedule, str] = {
    "constant": "the learning rate at every step",
    "cosine": "from the learning rate down to zero at the last step",
    "one-cycle": "up from zero over the first tenth of the steps, then down to zero as a cosine; "
    "allows a higher learning rate",
}

Device = Literal["auto", "cpu", "cuda", "mps"]
DEVICES: dict[Device, str] = {
    "auto": "CUDA where PyTorch finds it, else the processor",
    "cpu": "the processor",
    "cuda": "an NVIDIA GPU",
    "mps": "an Apple GPU",
}

Precision = Literal["auto", "fp32", "bf16"]
PRECISIONS: dict[Precision, str] = {
    "auto": "bf16 where the hardware multiplies bfloat16 natively, else fp32",
    "fp32": "everything in float32",
    "bf16": "matrix products in bfloat16, weights and sums in float32",
}

Compile = Literal["auto", "on", "off"]
COMPILE: dict[Compile, str] = {
    "auto": "on where there is a compiler and the run is long enough to gain; decided by the "
    "options and the number of steps, so that a resumed run decides alike",
    "on": "PyTorch compiles steps as a whole before the first one, or else their networks",
    "off": "steps run uncompiled",
}

NetworkName = Literal["mlp", "gated", "residual", "conv", "ladder"]
NETWORKS: dict[NetworkName, str] = {
    "mlp": "h = act(W x + b)",
    "gated": "h = act(W x + b) σ(V x + c); with --activation identity the gated linear unit",
    "residual": "a linear layer, then one block x + W₂ act(W₁ act(x) + b₁) + b₂ for each width; "
    "all widths are the same",
    "conv": "residual convolutions for pictures of any size; --hidden are the fully connected "
    "layers between their smallest feature maps and the latents",
    "ladder": "levels of latents at several resolutions, from coarse to fine, for pictures and "
    "vectors; --hidden are the fully connected layers between the smallest feature maps and the "
    "--latents of the top level",
}
FACTORY = "package.module:factory"
"""The form of a network's name that stands for a function of the user's own."""
FACTORY_HELP = (
    "a function (event_shape, latents) → (encoder, decoder); commands on the run need --trust"
)

LikelihoodName = Literal[
    "auto",
    "bernoulli",
    "continuous-bernoulli",
    "gaussian",
    "discretized-logistic",
    "discretized-logistic-mixture",
    "columns",
]
LIKELIHOODS: dict[LikelihoodName, str] = {
    "auto": "by the values: columns for a table of named columns, bernoulli for 0 and 1, "
    "discretized-logistic for bytes, or its mixture with conv or ladder, else gaussian",
    "bernoulli": "binary pixels",
    "continuous-bernoulli": "values in [0, 1]",
    "gaussian": "real values",
    "discretized-logistic": "the 256 grey levels",
    "discretized-logistic-mixture": "the same as ten components for each pixel, whose channels "
    "share the component, for colour",
    "columns": "each column of a table by its own type",
}

ColumnLikelihoodName = Literal[
    "gaussian",
    "student-t",
    "log-normal",
    "poisson",
    "negative-binomial",
    "bernoulli",
    "categorical",
    "ordinal",
]
COLUMN_LIKELIHOODS: dict[ColumnLikelihoodName, str] = {
    "gaussian": "real numbers",
    "student-t": "real numbers with heavy tails",
    "log-normal": "positive numbers",
    "poisson": "counts whose variance is their mean",
    "negative-binomial": "counts that vary more",
    "bernoulli": "the codes 0 and 1 of two levels",
    "categorical": "the codes of C levels, as categorical:C",
    "ordinal": "the codes of C ordered levels, as ordinal:C",
}

LIKELIHOOD_OF_VALUES: dict[ValueKind, LikelihoodName] = {
    "binary": "bernoulli",
    "bytes": "discretized-logistic",
    "unit": "gaussian",
    "real": "gaussian",
}

Standardise = Literal["auto", "value", "channel", "all", "none"]
STANDARDISE: dict[Standardise, str] = {
    "auto": "under gaussian each value of a vector or each channel of pictures, else none",
    "value": "each value of the event by its own mean and standard deviation",
    "channel": "each channel of pictures by its own",
    "all": "all values by the same, as for signals",
    "none": "the networks see the data as they are",
}

PosteriorName = Literal["diagonal", "full", "flow", "laplace"]
POSTERIORS: dict[PosteriorName, str] = {
    "diagonal": "a Gaussian of independent latents",
    "full": "a Gaussian with any covariance",
    "flow": "affine couplings of the latents, from a Gaussian",
    "laplace": "no encoder: Gaussians at the modes of p(x, z), under any mask, by Gauss–Newton "
    "steps; for small decoders",
}

PartialFamilyName = Literal["auto", "diagonal", "full", "flow"]
PARTIAL_FAMILIES: dict[PartialFamilyName, str] = {
    "auto": "full, and diagonal for more than 64 latents; of a ladder one with its levels",
    "diagonal": POSTERIORS["diagonal"],
    "full": POSTERIORS["full"],
    "flow": POSTERIORS["flow"],
}

PriorName = Literal["standard", "mixture", "vamp", "flow"]
PRIORS: dict[PriorName, str] = {
    "standard": "N(0, I)",
    "mixture": "a learned mixture of Gaussians",
    "vamp": "the mixture of the encoder's posteriors of learned images (Tomczak & Welling, 2018)",
    "flow": "a neural spline flow",
}

FitName = Literal["svi-full", "svi-low-rank", "svi-mixture", "svi-flow", "laplace"]
"""Methods that fit a density q of a richer family than the encoder's."""
MethodName = Literal[
    "encoder",
    "partial-encoder",
    "svi",
    FitName,
    "sir",
    "sir-encoder",
    "hmc",
    "pseudo-gibbs",
    "metropolis-within-gibbs",
    "grid",
]
METHODS: dict[MethodName, str] = {
    "encoder": "the encoder's q, without a fit",
    "partial-encoder": "the network of `elboroom amortise`, which knows every mask",
    "svi": "a diagonal Gaussian fitted to each row",
    "svi-full": "a Gaussian with any covariance",
    "svi-low-rank": "a Gaussian with a low-rank covariance",
    "svi-mixture": "a mixture of Gaussians",
    "svi-flow": "a normalising flow",
    "laplace": "a Gaussian at the mode, refined",
    "sir": "importance resampling from Gaussians at the modes",
    "sir-encoder": "the same from the partial encoder, or without one from the encoder",
    "hmc": "Hamiltonian Monte Carlo",
    "pseudo-gibbs": "the encoder and the decoder in turn",
    "metropolis-within-gibbs": "the same, corrected by Metropolis and Hastings",
    "grid": "exact integration, for one or two latents",
}

AnnealingSchedule = Literal["sigmoid", "linear"]
ANNEALING_SCHEDULES: dict[AnnealingSchedule, str] = {
    "sigmoid": "finest steps at both ends",
    "linear": "equal steps",
}

FigureName = Literal[
    "samples",
    "reconstructions",
    "latent",
    "interpolation",
    "traversal",
    "levels",
    "contours",
    "posteriors",
    "completion",
    "manifold",
    "curves",
]
FIGURES: dict[FigureName, str] = {
    "samples": "images drawn from the model",
    "reconstructions": "images over the means decoded at their posterior means",
    "latent": "posterior means in the latent plane",
    "interpolation": "images decoded on the way from one class to another",
    "traversal": "images decoded while one latent after another is walked from -3 to 3",
    "levels": "images whose lower levels of latents, of a ladder, are drawn again",
    "contours": "true and fitted posteriors of some images, as contours",
    "posteriors": "posteriors by several methods beside the true one",
    "completion": "images completed from their observed part",
    "manifold": "images decoded over the latent plane",
    "curves": "ELBO, reconstruction and KL over epochs",
}

ExportTarget = Literal["web", "onnx", "torch", "hub"]
EXPORT_TARGETS: dict[ExportTarget, str] = {
    "web": "the explorer as a static page for any web host, which computes in the browser",
    "onnx": "encoder and decoder as ONNX, for any runtime, by the extra onnx",
    "torch": "encoder and decoder as programs of torch.export, for PyTorch without elboroom",
    "hub": "a folder for the Hugging Face Hub, which elboroom.from_pretrained reads",
}

Shell = Literal["bash", "zsh", "fish"]

JsonCommand = Literal[
    "evaluate", "complete", "infer", "amortise", "gaps", "impute", "score", "doctor"
]
"""Commands that have --json."""

FormatName = Literal[
    "npy", "pt", "columns", "zip", "npz", "mat", "hdf5", "idx", "table", "shards", "folder", "tar"
]
FORMATS: dict[FormatName, str] = {
    "npy": "one array of images or rows, a .npy written by numpy.save",
    "pt": "tensors, a .pt written by torch.save",
    "columns": "a table of columns of any type, a .csv, .tsv or .xlsx, by the extras tables and "
    "excel",
    "zip": "a folder of pictures in a .zip",
    "npz": "images, labels and masks by name, a .npz written by numpy.savez",
    "mat": "numeric arrays by name, a .mat of MATLAB 5 to 7.2",
    "hdf5": "arrays by path, an HDF5 file or a .mat of MATLAB 7.3, by the extra hdf5",
    "idx": "images as those of MNIST, an IDX file or a folder of them, packed by gzip or not",
    "table": "pictures, arrays or numbers by column, a table of Parquet, Arrow or Feather or a "
    "folder of its shards, by the extra arrow",
    "shards": "one array in a folder of numbered .npy files, such as `elboroom pack --shard-rows`"
    " writes",
    "folder": "a folder of pictures (JPEG, PNG, WebP, TIFF, BMP, GIF), or of one folder for each "
    "class, or of `train`, `val` and `test`",
    "tar": "a folder of pictures in a .tar, packed by gzip or not",
}


def listed(what: str, kinds: Mapping[Any, str]) -> str:
    """Return the help of an option: `what` it is, then each kind on a line of its own."""
    return "\n".join([what, *(f"{name}: {line}." for name, line in kinds.items())])
