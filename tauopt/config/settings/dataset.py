"""Settings of a dataset file: input files, classes, features, splits, weights."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from tauopt.config.settings.base import (
    ExpressionText,
    Name,
    OptionalExpression,
    Settings,
    Variable,
    not_required_in_schema,
)
from tauopt.config.settings.inputs import Feature
from tauopt.config.settings.layout import CandidateLayout, Layout


class Simulation(Settings):
    """A simulated sample, which `tauopt simulate` writes to the per-user cache on first use."""

    taus: int = Field(default=60_000, gt=0)
    """Number of candidates from gamma*/Z -> tau tau."""
    jets: int = Field(default=60_000, gt=0)
    """Number of candidates from dijet events."""
    seed: int = Field(default=1, ge=1, le=900_000)
    """Seed of the simulation; the same seed gives the same files."""
    pileup: float = Field(default=35.0, ge=0, le=200)
    """Mean number of interactions per bunch crossing."""
    tau_decays: Literal[0, 1, 5] = 5
    """Pythia's `TauDecays:mode`: 0 phase space, 5 hadronic currents, 1 currents and spin."""


class Sample(Settings):
    """Input files of one physics process."""

    model_config = not_required_in_schema("classes")

    files: tuple[str, ...] = Field(min_length=1)
    """Path globs, expanded and sorted; relative to the dataset file, or to the simulated sample.
    ROOT, HDF5, Parquet or Feather, recognised by the files' content; `%d` in a name stands for any
    number. Files at `root://` and `https://` addresses are copied into the cache; they need full
    names, without wildcards."""
    tree: str = "candidates"
    """Name of the TTree or RNTuple, or of the HDF5 dataset or group with the candidates' own
    variables; an HDF5 file that holds nothing of the default name is read without it."""
    friends: tuple[str, ...] = ()
    """Friend trees in the same ROOT file, joined entry by entry; all need equally many entries. A
    branch is looked up in `tree` first, then here in order; `<friend>.<branch>` selects one."""
    weight: ExpressionText = "1"
    """Expression for the physics weight of a candidate."""
    classes: tuple[Name, ...] = Field(min_length=1)
    """Classes that this sample may hold; a candidate of another class is left out. If no sample
    lists its classes, each sample may hold all of them."""


class Split(Settings):
    """Training, validation and test split: expressions on the event number, without overlap.

    Or k-fold splits by a machine-independent hash of the event number: `{folds: 5, fold: 0}`.
    Folds override expressions, so that `--set data.split.folds=5` is enough.
    """

    train: OptionalExpression = ""
    """Selects the candidates that fit the network and the preprocessing constants."""
    validation: OptionalExpression = ""
    """Selects the candidates on which a search computes its objective."""
    test: OptionalExpression = ""
    """Selects the candidates that stay sealed until a trial is evaluated for promotion."""
    folds: int | None = Field(default=None, ge=3, le=1000)
    """Number of folds; the three expressions are then ignored."""
    fold: int = Field(default=0, ge=0)
    """Index of the test fold, from 0; the next fold is validation (after the last, fold 0), the
    others are training."""

    @model_validator(mode="after")
    def _three_expressions_or_folds(self) -> Self:
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"expected a fold from 0 to {self.folds - 1}, got {self.fold}")
        missing = [name for name in ("train", "validation", "test") if not getattr(self, name)]
        if self.folds is None and missing:
            raise ValueError(f"{', '.join(missing)} is missing; give all three, or `folds`")
        return self


class Group(Settings):
    """A group of objects of one kind that belong to a candidate, for instance its tracks."""

    features: dict[Variable, Feature] = Field(min_length=1)
    """Features in the order of the array's last axis; scalar branches are repeated per object."""
    select: OptionalExpression = ""
    """Selection of objects, for instance `track_pt > 1000`; empty keeps all."""
    order_by: OptionalExpression = ""
    """Expression that sorts the objects, descending; empty keeps the ntuple's order."""


class BinnedVariable(Settings):
    """Binning of one variable; the outermost bins are open, so that no value lies outside."""

    expression: OptionalExpression = ""
    """Branch or expression over branches; empty means the variable's own name."""
    bins: int = Field(default=20, ge=1, le=1000)
    """Number of quantile bins of the reweighted classes; ignored if `edges` are given."""
    edges: tuple[float, ...] = Field(default=(), max_length=1000)
    """Inner bin edges, increasing: n edges make n + 1 bins, since the first and the last bin are
    open."""

    @model_validator(mode="after")
    def _increasing(self) -> Self:
        if any(high <= low for low, high in pairwise(self.edges)):
            raise ValueError(f"expected edges that increase, got {list(self.edges)}")
        return self


MAX_BINS = 20_000
"""Most bins of a reweighting, the product over its variables."""


class Reweight(Settings):
    """Reweight every class to one spectrum, so that a network can't learn from its shape.

    Weights are fitted on the training split in quantile bins of the reweighted classes, or in
    given bins, and applied to all splits; the sum of weights of each class is kept.
    """

    variable: OptionalExpression = ""
    """Expression of the one variable, usually the transverse momentum; for several variables use
    `variables` instead."""
    to: tuple[Name, ...] = ()
    """Classes whose joint spectrum the other classes are reweighted to."""
    bins: int = Field(default=49, ge=1, le=1000)
    """Number of quantile bins of `variable`, over the reweighted classes."""
    variables: dict[Variable, BinnedVariable] = {}
    """Variables by name, each with its binning; weights are fitted in the multi-dimensional bins of
    all variables together."""
    target: Literal["classes", "flat", "mean"] = "classes"
    """Target spectrum of every class: that of the classes in `to` (`classes`); the same sum of
    weights in every bin (`flat`); or the mean of the spectra of all classes, each normalised to one
    (`mean`)."""
    max_ratio: float | None = Field(default=None, gt=1)
    """Limit on a class's largest weight factor divided by its smallest non-zero one; none sets no
    limit."""

    @property
    def axes(self) -> dict[str, BinnedVariable]:
        """The variables by name; a single one is called `variable`."""
        single = BinnedVariable(expression=self.variable, bins=self.bins)
        return {"variable": single} if self.variable else self.variables

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if bool(self.variable) == bool(self.variables):
            got = "both" if self.variable else "none"
            raise ValueError(f"expected either `variable` or `variables`, got {got}")
        if (self.target == "classes") != bool(self.to):
            raise ValueError("expected either classes in `to`, or `target: flat` or `mean`")
        axes = self.axes.values()
        size = prod(len(axis.edges) + 1 if axis.edges else axis.bins for axis in axes)
        if size > MAX_BINS:
            raise ValueError(f"expected at most {MAX_BINS} bins in all, got {size}")
        return self


def _at_most_one(shares: dict[str, float]) -> dict[str, float]:
    if sum(shares.values()) > 1 + 1e-6:
        raise ValueError(f"expected shares that add up to 1 at most, got {sum(shares.values()):g}")
    return shares


Proportions = Annotated[
    dict[Name, Annotated[float, Field(gt=0, lt=1)]], AfterValidator(_at_most_one)
]
"""Class -> its share of the sum of weights."""


class Resample(Settings):
    """Resample the training split: balance it by numbers of candidates instead of by weights.

    In each class and bin of `reweight`, as many candidates are drawn as the bin's balanced sum of
    weights demands. All candidates of a bin have the same chance and keep their weights relative
    to the bin's mean. The expected sums of weights are those of balancing by weights. The
    validation and test splits are always balanced by weights: none of their candidates is left
    out or repeated.
    """

    replacement: bool
    """`true` draws candidates with replacement: several times where there are too few, each time to
    another position of the shuffled order. `false` leaves candidates out where there are too
    many."""
    candidates: int | None = Field(default=None, gt=0)
    """Expected number of training candidates; none means as many as before with replacement, and
    as many as possible without."""


class Dataset(Settings):
    """Dataset: input files, selection, classes, features, splits and balancing."""

    name: Name
    """Name of the dataset; the prepared dataset's folder is called by it and a digest."""
    simulate: Simulation | None = None
    """Simulate the sample on first use; `files` are then relative to the simulated folder."""
    layout: Layout = CandidateLayout()
    """What one entry of a tree is: a candidate, or an event with a list of candidates."""
    samples: dict[Name, Sample] = Field(min_length=1)
    """Input files of each process, by name."""
    classes: dict[Name, ExpressionText] = Field(min_length=2)
    """Class -> its selection; a candidate that passes no selection or more than one is an error."""
    selection: OptionalExpression = ""
    """Selection of candidates; empty keeps all."""
    cuts: dict[Variable, ExpressionText] = {}
    """Further cuts by name; a candidate must pass all. A file that extends this one replaces or
    adds a cut by its name, and removes one with `null`, so that no selection is written twice."""
    event_number: ExpressionText = "event_number"
    """Branch or expression of the event number, an integer."""
    split: Split
    """Which candidates are training, validation and test."""
    candidate: dict[Variable, Feature] = Field(min_length=1)
    """The candidate's own features, in order."""
    groups: dict[Variable, Group] = {}
    """Groups of objects, by name."""
    spectators: dict[Variable, ExpressionText] = {}
    """Spectator variables, kept for evaluation and not seen by networks: name -> expression. `pt`,
    `eta`, `mu` and `prongs` have a meaning for metrics and figures."""
    reweight: Reweight | None = None
    """Reweight all classes to the same spectrum; none leaves the weights as they are."""
    proportions: Proportions = {}
    """Class -> its share of the sum of weights, for instance {jet: 0.5}; classes that are not
    named share the rest in their present proportions. Fitted on the training split."""
    resample: Resample | None = None
    """Balance the training split by drawing candidates; none balances it by weights."""
    negative_weights: Literal["keep", "drop", "absolute"] = "keep"
    """Treatment of candidates with negative weight: keep them, leave them out, or take the absolute
    value of the weight. The manifest counts them in any case."""
    missing: Literal["error", "drop", "impute"] = "error"
    """Treatment of candidates with a NaN or infinite feature: stop with an error, leave them out,
    or impute the feature's training mean. The manifest counts them in any case."""
    bad_files: int = Field(default=0, ge=0)
    """Number of unreadable files to tolerate before preparation stops; the manifest names them."""
    stream: Literal["prepared", "direct"] = "prepared"
    """`prepared` copies the selected candidates into chunks, once. `direct` keeps only labels,
    weights and positions, and reads the features of the training and test splits from the ROOT
    files in each epoch, for data that should not be copied. Validation is copied in both cases,
    since every report reads it."""
    chunk_size: int = Field(default=100_000, ge=1)
    """Candidates per chunk; each chunk is a uniform sample of the whole mixture."""

    @field_validator("resample")
    @classmethod
    def _needs_balance(cls, resample: Resample | None, info: ValidationInfo) -> Resample | None:
        # A field that failed its own validation is absent here: True avoids a second problem.
        balanced = info.data.get("reweight", True) or info.data.get("proportions", True)
        if resample and not balanced:
            raise ValueError("expected `reweight` or `proportions` to define the balance")
        return resample

    @field_validator("stream")
    @classmethod
    def _prepared_if_resampled(cls, stream: str, info: ValidationInfo) -> str:
        if stream == "direct" and info.data.get("resample"):
            raise ValueError(
                "direct does not work with `resample`, which draws candidates to new positions; "
                "balance by weights (leave `resample` out), or set `prepared`"
            )
        return stream
