"""Settings of an experiment file: task, training, objective, search, tracking of one trial."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    model_validator,
)

from tauopt.config.settings.base import Name, Settings, not_required_in_schema
from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.gate import Gate
from tauopt.config.settings.networks import Network
from tauopt.config.settings.objective import Goal, parse_constraint, parse_cost, parse_objective
from tauopt.config.settings.working_point_settings import WorkingPointSettings


def _list_to_mapping(classes: Any) -> Any:
    """Return a list of classes as a mapping in which each class is a task class by itself."""
    if not isinstance(classes, (list, tuple)):
        return classes
    if not all(isinstance(name, str) for name in classes):
        raise ValueError("expected a list of class names, or a mapping to lists of them")
    if repeated := sorted({name for name in classes if classes.count(name) > 1}):
        raise ValueError(f"{repeated[0]!r} appears twice in the list")
    return {name: (name,) for name in classes}


ClassWeight = Annotated[float, Field(gt=0, le=1e6)]
"""A factor on the weights of a class."""


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"{repeated[0]!r} appears twice in the list")
    return names


def _not_empty(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("expected at least one objective")
    return names


_Metric = Annotated[str, AfterValidator(lambda text: str(parse_objective(text)))]
_Cost = Annotated[str, AfterValidator(lambda text: str(parse_cost(text)))]
_Constrained = Annotated[str, AfterValidator(lambda text: str(parse_constraint(text) or text))]
_OneOrSeveral = BeforeValidator(
    lambda names: (names,) if isinstance(names, str) else names,
    json_schema_input_type=str | list[str],
)


class Task(Settings):
    """Classification task: the classes that the network separates, and which are signal."""

    model_config = not_required_in_schema("classes")

    classes: Annotated[
        dict[Name, Annotated[tuple[Name, ...], Field(min_length=1)]],
        Field(min_length=2),
        BeforeValidator(
            _list_to_mapping, json_schema_input_type=list[Name] | dict[Name, list[Name]]
        ),
    ]
    """Task class -> the dataset's classes in it; a plain list makes each class a task class. The
    order is that of the network's outputs. Candidates of classes in no task class are left out. If
    the dataset has two classes, these are the default."""
    signal: tuple[Name, ...] = Field(default=(), min_length=1)
    """Task classes that are signal; the others are background. If left out, all are signal, for
    instance decay modes of true taus."""
    heads: Literal["one", "two"] = "one"
    """`one`: a single output over all classes. `two`: two output heads on one trunk, signal against
    background, and the signal class given signal, whose loss counts true signal only. In both cases
    the outputs are the probabilities of all classes."""

    @model_validator(mode="before")
    @classmethod
    def _default_all_signal(cls, task: Any) -> Any:
        if not isinstance(task, dict) or "signal" in task or not task.get("classes"):
            return task
        return {**task, "signal": tuple(task["classes"])}

    @property
    def background(self) -> tuple[str, ...]:
        """Task classes that are not signal."""
        return tuple(name for name in self.classes if name not in self.signal)


class EarlyStopping(Settings):
    """Early stopping: end the training when `monitor` has not improved for some reports.

    If its value is the same, a lower validation loss is an improvement.
    """

    patience: int = Field(default=10, ge=1)
    """Reports without improvement before training ends."""
    min_delta: float = Field(default=1e-4, ge=0)
    """Smallest relative change that counts as an improvement."""


class ReduceOnPlateau(Settings):
    """Lower the learning rate when `monitor` has not improved for some reports."""

    patience: int = Field(default=4, ge=1)
    """Reports without improvement before the learning rate is lowered."""
    factor: float = Field(default=0.1, gt=0, lt=1)
    """Factor that multiplies the learning rate."""


class Training(Settings):
    """Training settings; every single value may be a range."""

    optimizer: Literal["adam", "adamw", "nadam", "sgd"] = "adam"
    """Gradient-descent algorithm."""
    learning_rate: float = Field(default=1e-3, gt=0, le=10)
    """Step size of the optimizer; with a schedule, its peak."""
    schedule: Literal["constant", "cosine", "one_cycle"] = "constant"
    """Learning-rate schedule over all epochs: constant; falling along half a cosine; or one cycle,
    which rises from 1/25 of the peak to the peak and falls, both along half a cosine."""
    warm_up: float = Field(default=0.0, ge=0, le=1e12)
    """Length of the linear warm-up of the learning rate from 0: below 1 a fraction of the training,
    from 1 on a number of candidates. Used with `constant` and `cosine` only."""
    peak_at: float = Field(default=0.3, ge=0.01, le=0.99)
    """Position of the learning rate's peak, as a fraction of the training. Used with `one_cycle`
    only."""
    final_rate: float = Field(default=0.0, ge=0, le=1)
    """Learning rate at the end, as a fraction of its peak. Used with `cosine` and `one_cycle`
    only."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of `sgd`; used with `sgd` only."""
    momentum_dip: float = Field(default=0.0, ge=0, lt=1)
    """Amount by which the momentum falls while the learning rate rises to its peak; it rises again
    while the learning rate falls. Used with `sgd` and `one_cycle` only."""
    nesterov: bool = True
    """Nesterov momentum; used with `sgd` only."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """Decoupled weight decay per step, in units of the learning rate."""
    clip_norm: float = Field(default=0.0, ge=0)
    """Gradient clipping: largest global norm; 0 does not clip."""
    ema: float = Field(default=0.0, ge=0, le=0.99999)
    """Decay of an exponential moving average of the weights, per step; the average is evaluated and
    saved in place of the last weights. 0 takes the last weights."""
    loss: Literal["crossentropy", "focal"] = "crossentropy"
    """Loss function: cross-entropy, or focal loss, which lowers the weight of candidates that are
    already classified well."""
    focal_gamma: float = Field(default=2.0, ge=0, le=10)
    """Focusing parameter gamma of the focal loss; used with `focal` only."""
    label_smoothing: float = Field(default=0.0, ge=0, le=0.5)
    """Label smoothing: the part of each label that is spread evenly over all classes."""
    mode_weight: float = Field(default=1.0, ge=0, le=1000)
    """Weight, in the loss, of separating the signal classes of true signal, relative to signal
    against background. With a value other than 1, or with two heads, the loss has these two parts,
    and `focal` and `label_smoothing` act on each part separately."""
    class_balance: Literal["equal", "signal", "none"] = "equal"
    """Balance of the classes in the loss. `equal`: each task class has the same sum of weights;
    `signal`: all signal together has that of all background; `none`: as in the data."""
    class_weights: dict[Name, ClassWeight] = {}
    """Task class -> a factor on its weights, applied after `class_balance`; 1 if not named."""
    batch_size: int = Field(default=256, ge=1, le=1_000_000)
    """Candidates per step, at the beginning; a last, incomplete batch of an epoch is filled from
    the next epoch, and a step larger than an epoch is one epoch."""
    batch_growth: float = Field(default=1.0, ge=1, le=16)
    """Factor by which the batch size grows, repeatedly; 1 keeps it."""
    batch_growth_every: float = Field(default=0.25, ge=0.001, le=1)
    """Interval between growths, as a fraction of the training; the batch size then grows at the
    next beginning of an epoch."""
    max_batch_size: int = Field(default=65_536, ge=1, le=1_000_000)
    """Limit on the growing batch size."""
    epochs: int = Field(default=100, ge=1, le=100_000)
    """Largest number of passes over the training split; the last batch is completed."""
    report_every: int = Field(default=0, ge=0)
    """Candidates between reports (rungs); 0 reports once per epoch."""
    monitor: Literal["loss", "band", "objective"] = "loss"
    """Quantity on the validation split by which the best report is chosen, whose weights are kept,
    training stops early and the learning rate is lowered: the loss; the background rejection over
    signal efficiencies from 0.6 to 0.9; or the first objective itself, whose value at the best of
    many reports is too good on average. At equal values the lower loss is better."""
    early_stopping: EarlyStopping | None = EarlyStopping()
    """Stop when `monitor` no longer improves; `null` trains all epochs."""
    reduce_on_plateau: ReduceOnPlateau | None = None
    """Lower the learning rate (with a schedule its peak) when `monitor` no longer improves; `null`
    keeps it."""
    precision: Literal["float32", "mixed"] = "float32"
    """`mixed` trains in float16 with float32 weights and a scaled loss, on a GPU; without a GPU it
    is float32. A saved model computes in float32."""
    jit_compile: bool = False
    """Compile the training step with XLA, which takes seconds for each batch size and is worth it
    on a GPU, if at all."""


class Constraint(Settings):
    """Limit on a quantity that is not searched for: the smallest or the largest value allowed."""

    min: float | None = Field(default=None, allow_inf_nan=False)
    """Smallest value; give either this or `max`."""
    max: float | None = Field(default=None, allow_inf_nan=False)
    """Largest value."""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.min is None) == (self.max is None):
            raise ValueError("expected either min or max")
        return self


class Objective(Settings):
    """Objectives of the search on the validation split: metrics to maximise, costs to minimise.

    Several objectives make a multi-objective search, whose result is the Pareto front: the trials
    that no other trial beats in all objectives.
    """

    maximize: Annotated[
        tuple[_Metric, ...], AfterValidator(_distinct), AfterValidator(_not_empty), _OneOrSeveral
    ] = ("rejection@0.75",)
    """Metric or list of metrics: `rejection@0.75` (background rejection at 75 % signal efficiency),
    `rejection@[0.6, 0.9]` (its geometric mean over a band of signal efficiencies, which fluctuates
    less), `auc`, `auc@[0.6, 0.9]` (the area under that part of the curve), `accuracy`,
    `balanced_accuracy` (the mean over true classes), `neg_log_loss` (minus the cross-entropy of the
    classes); the latter three need no background; or a function of one's own, `module:function`, of
    `scores`, `labels` (True for signal), `weights` and others (see README), whose error is that of
    a bootstrap. The suffix `/1p` or `/3p` keeps candidates with that many prongs. The first metric
    prunes trials; `training.monitor` says what selects a trial's best weights."""
    minimize: Annotated[tuple[_Cost, ...], AfterValidator(_distinct), _OneOrSeveral] = ()
    """Cost or list of costs: `latency_us` (microseconds for one candidate, on one core),
    `latency_us@256` (per candidate in a batch of 256), `parameters`."""

    constraints: dict[_Constrained, Constraint] = {}
    """Limits on further quantities, such as `overtraining: {max: 0.05}`, `auc/3p: {min: 0.98}` or
    `latency_us@256: {max: 20}`: metrics, costs, and `overtraining`, the relative loss of the first
    objective from as many training candidates as there are in validation to validation. A report
    that breaks one beyond its error is not the best as long as another breaks none; a trial that
    breaks one is ranked behind all that break none, and the sampler learns where that is (`tpe`,
    `gp`)."""

    @property
    def first(self) -> str:
        """The objective that prunes trials and ranks them."""
        return self.maximize[0]

    @property
    def goals(self) -> tuple[Goal, ...]:
        """All objectives with their directions, beginning with `first`."""
        return (
            *(Goal(name, "maximize") for name in self.maximize),
            *(Goal(name, "minimize") for name in self.minimize),
        )


ONE_OBJECTIVE = ("cmaes",)
"""Samplers for a single objective only."""


SamplerType = Literal["tpe", "random", "cmaes", "gp", "qmc"]
PrunerType = Literal["racing", "asha", "hyperband", "median", "none"]
Preference = Literal["best", "cheapest"]


class Sampler(Settings):
    """Sampler: how the study proposes trials."""

    type: SamplerType = "tpe"
    """Sampling algorithm: tree-structured Parzen estimator, random search, CMA evolution strategy
    (for one objective only), Gaussian process, or quasi-random points."""
    seed: int = Field(default=1, ge=0, lt=2**31)
    """Seed of the sampler; a trial's seed derives from it and the trial's number."""
    startup: int = Field(default=10, ge=1)
    """Random trials before `tpe`, `cmaes` and `gp` begin to model."""


class Pruner(Settings):
    """Pruner: how the study stops trials that fall behind."""

    type: PrunerType = "asha"
    """Pruning algorithm: asynchronous successive halving; racing, which is the same but keeps the
    trials that are tied; Hyperband, median rule, or none."""
    reduction_factor: int = Field(default=3, ge=2)
    """One trial in this many passes a rung by rank; used with `racing`, `asha` and `hyperband`."""
    level: float = Field(default=0.05, gt=0, le=0.5)
    """Chance to stop a trial that is not behind, by the paired test of two trials on the same
    validation candidates; used with `racing`."""
    min_reports: int = Field(default=1, ge=1)
    """Reports of every trial before it may be stopped."""
    startup: int = Field(default=5, ge=0)
    """First trials, which are never stopped; used with `median`."""


class Resources(Settings):
    """Cores and GPUs of a trial, and the number of trials at a time."""

    cpus: float = Field(default=1.0, gt=0)
    """Cores per trial."""
    gpus: float = Field(default=0.0, ge=0)
    """GPUs per trial; may be a fraction, for several trials on one GPU."""
    concurrent: int = Field(default=0, ge=0)
    """Trials at a time; 0 means as many as the resources allow."""


class Budget(Settings):
    """Limits that end the search, whichever is first; running trials are stopped and kept."""

    hours: float | None = Field(default=None, gt=0)
    """Wall time in hours, over all resumes."""
    gpu_hours: float | None = Field(default=None, gt=0)
    """GPU hours: GPUs that the trials hold times the hours for which they hold them, over all
    resumes."""


class Confirm(Settings):
    """Stage at the end of a search that trains its best points again on other seeds.

    The largest of many values is too large. So the points that are tied with the best are trained
    again, and only the new trainings count: they are ranked by the means, with errors that hold
    both seeds and sample.
    """

    top: int = Field(default=5, ge=1)
    """Points at most: those tied with the best, the lowest loss first; of several objectives
    those that no other trial dominates."""
    seeds: int = Field(default=3, ge=2)
    """New trainings of each point."""
    prefer: Preference = "best"
    """What is recommended of the points that stay tied: the one with the lowest loss, or the one
    whose network has the fewest parameters."""


class Notify(Settings):
    """Message at the end of a search, by a command of the user's own."""

    command: str = ""
    """Shell command that the driver runs once when the search ends, stops or fails; empty runs
    none. It has a minute, and finds in its environment TAUOPT_SEARCH (name), TAUOPT_STATE
    (`complete`, `exhausted`, `budget`, `stopped` or `failed`), TAUOPT_REASON, TAUOPT_OBJECTIVE,
    TAUOPT_BEST (value of the best trial), TAUOPT_BEST_RUN (its MLflow run id) and TAUOPT_FOLDER.
    It is recorded with the search: name passwords by environment variables."""


class Search(Settings):
    """Search settings: number of trials, sampler, pruner, resources, budget and message."""

    trials: int = Field(default=20, ge=1, le=1_000_000)
    """Total number of trials, over all resumes."""
    sampler: Sampler = Sampler()
    """How trials are proposed."""
    pruner: Annotated[
        Pruner,
        BeforeValidator(
            lambda pruner: {"type": "none"} if pruner is None else pruner,
            json_schema_input_type=Pruner | None,
        ),
    ] = Pruner()
    """How trials that fall behind are stopped; `null` never stops one."""
    resources: Resources = Resources()
    """Cores and GPUs of a trial, and the number of trials at a time."""
    budget: Budget = Budget()
    """Limits that end the search although trials are left."""
    confirm: Confirm | None = None
    """Stage that trains the best points again on other seeds when all trials have ended; `{}`
    confirms up to five points on three seeds each, `null` none."""
    max_failures: int = Field(default=5, ge=1)
    """Failed trials in a row that end the search."""
    notify: Notify = Notify()
    """Command that is run when the search ends, stops or fails; by default none."""


class Tracking(Settings):
    """Where runs are recorded in MLflow."""

    experiment: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,250}$")] = "tauopt"
    """MLflow experiment."""
    model: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")] = ""
    """Registered model that `promote` adds versions to; empty means the experiment file's name."""


class Experiment(Settings):
    """One trial, or with a search space one search: data, task, model, training, objective."""

    name: Name
    """Name of the search, unless the command line gives another."""
    data: Dataset
    """Path of a dataset file, relative to this one, or the same mapping in place."""
    task: Task
    """Classification task: the classes to separate."""
    model: Network
    """Network; every single value but `type` may be a range."""
    training: Training = Training()
    """Training settings; every single value may be a range."""
    objective: Objective = Objective()
    """Metrics that the search maximises and costs that it minimises."""
    search: Search = Search()
    """Search settings; `train` ignores them."""
    working_points: WorkingPointSettings = WorkingPointSettings()
    """Working points: cuts on the score, derived when a model is promoted; training ignores
    them."""
    promote: Gate = Gate()
    """Promotion gate: requirements on the test split for becoming the champion; training ignores
    them."""
    tracking: Tracking = Tracking()
    """Where runs are recorded in MLflow."""
