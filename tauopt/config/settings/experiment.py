"""The experiment file without ranges: what one trial is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)

from tauopt.config.settings.base import Name, Settings, filled_in
from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.gate import Gate
from tauopt.config.settings.networks import Network
from tauopt.config.settings.objective import Goal, parse_cost, parse_objective
from tauopt.config.settings.working_point_settings import WorkingPointSettings


def _each_by_itself(classes: Any) -> Any:
    if not isinstance(classes, (list, tuple)):
        return classes
    if not all(isinstance(name, str) for name in classes):
        raise ValueError("expected a list of class names, or a mapping to lists of them")
    if twice := sorted({name for name in classes if classes.count(name) > 1}):
        raise ValueError(f"{twice[0]!r} stands twice in the list")
    return {name: (name,) for name in classes}


ClassWeight = Annotated[float, Field(gt=0, le=1e6)]
"""A factor on the weights of a class."""


def _listed(names: Any) -> Any:
    return (names,) if isinstance(names, str) else names


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{twice[0]!r} stands twice in the list")
    return names


def _some(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("expected at least one objective")
    return names


_Metric = Annotated[str, AfterValidator(lambda text: str(parse_objective(text)))]
_Cost = Annotated[str, AfterValidator(lambda text: str(parse_cost(text)))]
_OneOrSeveral = BeforeValidator(_listed, json_schema_input_type=str | list[str])


class Task(Settings):
    """The classes that the network tells apart, and which of them are signal."""

    model_config = filled_in("classes")

    classes: Annotated[
        dict[Name, Annotated[tuple[Name, ...], Field(min_length=1)]],
        Field(min_length=2),
        BeforeValidator(
            _each_by_itself, json_schema_input_type=list[Name] | dict[Name, list[Name]]
        ),
    ]
    """Task class -> the dataset's classes in it; a plain list means each by itself. Order is
    the order of the network's outputs. Candidates of classes in no task class are left out. Of a
    dataset of two classes, these are the default."""
    signal: tuple[Name, ...] = Field(default=(), min_length=1)
    """Task classes that are signal; the others are background. Left out, all are signal: decay
    modes of true taus, for instance."""
    heads: Literal["one", "two"] = "one"
    """`one` output over all classes; or `two` on one trunk: signal against background, and which
    signal class it is if it is signal, whose loss only true signal feels. Outputs are the
    probabilities of all classes in both cases."""

    @model_validator(mode="before")
    @classmethod
    def _all_signal(cls, task: Any) -> Any:
        if not isinstance(task, dict) or "signal" in task or not task.get("classes"):
            return task
        return {**task, "signal": tuple(task["classes"])}

    @property
    def background(self) -> tuple[str, ...]:
        """Task classes that are no signal."""
        return tuple(name for name in self.classes if name not in self.signal)


class EarlyStopping(Settings):
    """Stop when the objective has not improved for some reports; where its value is the same, a
    lower validation loss is an improvement."""

    patience: int = Field(default=10, ge=1)
    """Reports without improvement before training ends."""
    min_delta: float = Field(default=1e-4, ge=0)
    """Relative improvement that counts."""


class ReduceOnPlateau(Settings):
    """Lower the learning rate when the validation loss has not improved for some reports."""

    patience: int = Field(default=4, ge=1)
    """Reports without improvement before the learning rate is lowered."""
    factor: float = Field(default=0.1, gt=0, lt=1)
    """The learning rate is multiplied by this."""


class Training(Settings):
    """How a network is trained. Every single value may be a range."""

    optimizer: Literal["adam", "adamw", "nadam", "sgd"] = "adam"
    """The algorithm that follows the gradient."""
    learning_rate: float = Field(default=1e-3, gt=0, le=10)
    """Step size of the optimizer; with a schedule, its largest."""
    schedule: Literal["constant", "cosine", "one_cycle"] = "constant"
    """How the learning rate goes over all epochs: it stays, falls along half a cosine, or rises
    from a 25th to its peak and falls, both along half a cosine."""
    warm_up: float = Field(default=0.0, ge=0, le=1e12)
    """Where the learning rate, rising linearly from 0, reaches its value: below 1 a fraction of
    the training, from 1 on a number of candidates. Of `constant` and `cosine` only."""
    peak_at: float = Field(default=0.3, ge=0.01, le=0.99)
    """Where the learning rate peaks, as a fraction of the training. Of `one_cycle` only."""
    final_rate: float = Field(default=0.0, ge=0, le=1)
    """Learning rate at the end, as a fraction of its peak. Of `cosine` and `one_cycle` only."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Of `sgd` only."""
    momentum_dip: float = Field(default=0.0, ge=0, lt=1)
    """How far the momentum falls while the learning rate rises to its peak; it comes back while
    that falls. Of `sgd` with `one_cycle` only."""
    nesterov: bool = True
    """Of `sgd` only."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """Decoupled decay of the weights at each step, in units of the learning rate."""
    clip_norm: float = Field(default=0.0, ge=0)
    """Clip the gradient's global norm; 0 does not clip."""
    ema: float = Field(default=0.0, ge=0, le=0.99999)
    """Judge and save not the last weights but their exponential moving average, which keeps this
    much of itself at each step; 0 takes the last weights."""
    loss: Literal["crossentropy", "focal"] = "crossentropy"
    """`focal` lessens the weight of candidates that are already told apart well."""
    focal_gamma: float = Field(default=2.0, ge=0, le=10)
    """Of `focal` only."""
    label_smoothing: float = Field(default=0.0, ge=0, le=0.5)
    """Part of each label that is spread evenly over all classes."""
    mode_weight: float = Field(default=1.0, ge=0, le=1000)
    """How much it counts which signal class a true signal candidate is, beside signal against
    background, in the loss. Other than 1, and with two heads, the loss has these two parts, and
    `focal` and `label_smoothing` act on each by itself."""
    class_balance: Literal["equal", "signal", "none"] = "equal"
    """`equal`: each task class has the same sum of weights in the loss; `signal`: all signal
    together has that of all background; `none`: as in the data."""
    class_weights: dict[Name, ClassWeight] = {}
    """Task class -> a factor on its weights, behind `class_balance`; 1 where none is named."""
    batch_size: int = Field(default=256, ge=1, le=1_000_000)
    """Candidates a step, at the beginning; what an epoch leaves over is completed from the next,
    and a step of more than an epoch is an epoch."""
    batch_growth: float = Field(default=1.0, ge=1, le=16)
    """Batches become this many times larger, again and again; 1 keeps their size."""
    batch_growth_every: float = Field(default=0.25, ge=0.001, le=1)
    """How often they grow, as a fraction of the training; at the next beginning of an epoch."""
    max_batch_size: int = Field(default=65_536, ge=1, le=1_000_000)
    """Batches grow no larger than this."""
    epochs: int = Field(default=100, ge=1, le=100_000)
    """Passes over the training split, at most; the last batch is completed."""
    report_every: int = Field(default=0, ge=0)
    """Candidates between reports (rungs); 0 reports once an epoch."""
    early_stopping: EarlyStopping | None = EarlyStopping()
    """Stop when the objective no longer improves; `null` trains all epochs."""
    reduce_on_plateau: ReduceOnPlateau | None = None
    """Lower the learning rate, with a schedule its peak, when the loss no longer improves; `null`
    keeps it."""
    precision: Literal["float32", "mixed"] = "float32"
    """`mixed` trains in float16 with float32 weights and a scaled loss, on a GPU; without one it
    is float32. What is saved computes in float32."""
    jit_compile: bool = False
    """Compile the training step with XLA, which takes seconds for each size of batch and pays on a
    GPU, if at all."""


class Objective(Settings):
    """What the search makes as large as it can, on the validation split, and what as small.

    Several objectives are searched together: what is found is the front of trials none of which
    is better than another in all of them.
    """

    maximize: Annotated[
        tuple[_Metric, ...], AfterValidator(_different), AfterValidator(_some), _OneOrSeveral
    ] = ("rejection@0.75",)
    """`rejection@0.75` (background rejection at 75 % signal efficiency), `auc`, `accuracy`,
    `balanced_accuracy` (the mean over true classes); the latter two need no background.
    `/1p` or `/3p` behind it keeps candidates of that many prongs. One, or a list: the first
    stops trials that fall behind, ends training early and picks a trial's best weights."""
    minimize: Annotated[tuple[_Cost, ...], AfterValidator(_different), _OneOrSeveral] = ()
    """Costs, one or a list: `latency_us` (microseconds for one candidate, on one core),
    `latency_us@256` (for a candidate in a batch of 256), `parameters`."""

    @property
    def first(self) -> str:
        """The objective that prunes, stops early and picks best weights."""
        return self.maximize[0]

    @property
    def goals(self) -> tuple[Goal, ...]:
        """All objectives, the first one first."""
        return (
            *(Goal(name, "maximize") for name in self.maximize),
            *(Goal(name, "minimize") for name in self.minimize),
        )


ONE_OBJECTIVE = ("cmaes",)
"""Samplers that know one objective only."""


class Sampler(Settings):
    """How the study proposes trials."""

    type: Literal["tpe", "random", "cmaes", "gp", "qmc"] = "tpe"
    """Tree-structured Parzen estimators, random points, CMA evolution (of one objective only),
    Gaussian process, or quasi-random points."""
    seed: int = Field(default=1, ge=0, lt=2**31)
    """Of the sampler, and with a trial's number of that trial."""
    startup: int = Field(default=10, ge=1)
    """Random trials before `tpe`, `cmaes` and `gp` begin to model."""


class Pruner(Settings):
    """How the study stops trials that fall behind."""

    type: Literal["asha", "hyperband", "median", "none"] = "asha"
    """Successive halving without waiting, Hyperband, below the median, or never."""
    reduction_factor: int = Field(default=3, ge=2)
    """Of `asha` and `hyperband`: one trial in this many goes past a rung."""
    min_reports: int = Field(default=1, ge=1)
    """Reports that every trial may make."""
    startup: int = Field(default=5, ge=0)
    """Of `median`: trials that are never stopped."""


class Resources(Settings):
    """What a trial takes, and how many run at a time."""

    cpus: float = Field(default=1.0, gt=0)
    """Cores a trial."""
    gpus: float = Field(default=0.0, ge=0)
    """GPUs a trial; may be a fraction, for several trials on one GPU."""
    concurrent: int = Field(default=0, ge=0)
    """Trials at a time; 0 means as many as the resources allow."""


class Budget(Settings):
    """When the search ends, whatever comes first; trials that run then are stopped and kept."""

    hours: float | None = Field(default=None, gt=0)
    """Wall time over all resumes."""
    gpu_hours: float | None = Field(default=None, gt=0)
    """GPUs that its trials hold times the hours that they hold them, over all resumes."""


def _never_if_null(pruner: Any) -> Any:
    return {"type": "none"} if pruner is None else pruner


class Search(Settings):
    """How the search goes."""

    trials: int = Field(default=20, ge=1, le=1_000_000)
    """Trials in all, over all resumes."""
    sampler: Sampler = Sampler()
    """How trials are proposed."""
    pruner: Annotated[
        Pruner, BeforeValidator(_never_if_null, json_schema_input_type=Pruner | None)
    ] = Pruner()
    """How trials that fall behind are stopped; `null` never stops one."""
    resources: Resources = Resources()
    """What a trial takes, and how many run at a time."""
    budget: Budget = Budget()
    """When the search ends although trials are left."""
    max_failures: int = Field(default=5, ge=1)
    """Trials that may fail in a row before the search gives up."""


class Tracking(Settings):
    """Where runs are recorded."""

    experiment: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,250}$")] = "tauopt"
    """MLflow experiment."""
    model: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")] = ""
    """Registered model that `promote` makes versions of; empty means the experiment file's name."""


class Experiment(Settings):
    """One trial, or with a search space one search: data, task, model, training, objective."""

    name: Name
    """Of the search, unless the command line gives another."""
    data: Dataset
    """A dataset file, relative to this one, or the same mapping in place."""
    task: Task
    """The classes to tell apart."""
    model: Network
    """The network; every single value but `type` may be a range."""
    training: Training = Training()
    """How it is trained; every single value may be a range."""
    objective: Objective = Objective()
    """What the search makes as large, and as small, as it can."""
    search: Search = Search()
    """How the search goes; `train` doesn't look at it."""
    working_points: WorkingPointSettings = WorkingPointSettings()
    """Cuts on the score that are derived when a model is promoted; training doesn't look at it."""
    promote: Gate = Gate()
    """What a model must do on the test split to become the champion; training doesn't look at
    it."""
    tracking: Tracking = Tracking()
    """Where runs are recorded."""
