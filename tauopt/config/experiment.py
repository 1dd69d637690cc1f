"""The experiment file without ranges: what one trial is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tauopt.config.dataset import Dataset
from tauopt.config.networks import Network
from tauopt.config.settings import Settings


class Task(Settings):
    """The classes that the network tells apart, and which of them are signal."""

    classes: dict[str, tuple[str, ...]] = Field(min_length=2)
    """Task class -> the dataset's classes in it; a plain list means each by itself. Order is
    the order of the network's outputs. Candidates of classes in no task class are left out."""
    signal: tuple[str, ...] = Field(min_length=1)
    """Task classes that are signal; the others are background."""


class EarlyStopping(Settings):
    """Stop when the objective has not improved for some reports."""

    patience: int = Field(default=10, ge=1)
    """Reports without improvement before training ends."""
    min_delta: float = Field(default=1e-4, ge=0)
    """Relative improvement that counts."""


class ReduceOnPlateau(Settings):
    """Lower the learning rate when the validation loss has not improved for some reports."""

    patience: int = Field(default=4, ge=1)
    factor: float = Field(default=0.1, gt=0, lt=1)


class Training(Settings):
    """How a network is trained."""

    optimizer: Literal["adam", "adamw", "nadam", "sgd"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0, le=10)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Of `sgd` only."""
    nesterov: bool = True
    """Of `sgd` only."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    clip_norm: float = Field(default=0.0, ge=0)
    """Clip the gradient's global norm; 0 does not clip."""
    loss: Literal["crossentropy", "focal"] = "crossentropy"
    focal_gamma: float = Field(default=2.0, ge=0, le=10)
    """Of `focal` only."""
    batch_size: int = Field(default=256, ge=1, le=1_000_000)
    epochs: int = Field(default=100, ge=1, le=100_000)
    class_balance: Literal["equal", "none"] = "equal"
    """`equal`: each task class has the same sum of weights in the loss; `none`: as in the data."""
    report_every: int = Field(default=0, ge=0)
    """Candidates between reports (rungs); 0 reports once an epoch."""
    early_stopping: EarlyStopping | None = EarlyStopping()
    reduce_on_plateau: ReduceOnPlateau | None = None


class Objective(Settings):
    """What the search makes as large as it can, on the validation split."""

    maximize: str = "rejection@0.75"
    """`rejection@0.75` (background rejection at 75 % signal efficiency), `auc`, `accuracy`;
    `/1p` or `/3p` behind it keeps candidates of that many prongs."""


class Sampler(Settings):
    """How the study proposes trials."""

    type: Literal["tpe", "random", "cmaes", "gp", "qmc"] = "tpe"
    seed: int = Field(default=1, ge=0, lt=2**31)
    startup: int = Field(default=10, ge=1)
    """Random trials before `tpe`, `cmaes` and `gp` begin to model."""


class Pruner(Settings):
    """How the study stops trials that fall behind."""

    type: Literal["asha", "hyperband", "median", "none"] = "asha"
    reduction_factor: int = Field(default=3, ge=2)
    """Of `asha` and `hyperband`: one trial in this many goes past a rung."""
    min_reports: int = Field(default=1, ge=1)
    """Reports that every trial may make."""
    startup: int = Field(default=5, ge=0)
    """Of `median`: trials that are never stopped."""


class Resources(Settings):
    """What a trial takes, and how many run at a time."""

    cpus: float = Field(default=1.0, gt=0)
    gpus: float = Field(default=0.0, ge=0)
    """May be a fraction, for several trials on one GPU."""
    concurrent: int = Field(default=0, ge=0)
    """Trials at a time; 0 means as many as the resources allow."""


class Budget(Settings):
    """When the search ends, whatever comes first; trials that run then are stopped and kept."""

    hours: float | None = Field(default=None, gt=0)
    """Wall time over all resumes."""


class Search(Settings):
    """How the search goes."""

    trials: int = Field(default=20, ge=1, le=1_000_000)
    sampler: Sampler = Sampler()
    pruner: Pruner = Pruner()
    resources: Resources = Resources()
    budget: Budget = Budget()
    max_failures: int = Field(default=5, ge=1)
    """Trials that may fail in a row before the search gives up."""


class Tracking(Settings):
    """Where runs are recorded."""

    experiment: str = "tauopt"
    """MLflow experiment."""
    model: str = ""
    """Registered model that `promote` makes versions of; empty means the experiment file's name."""


class Experiment(Settings):
    """One trial, or with a search space one search: data, task, model, training, objective."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    data: Dataset
    task: Task
    model: Network
    training: Training = Training()
    objective: Objective = Objective()
    search: Search = Search()
    tracking: Tracking = Tracking()
