"""The dataset file: where candidates come from and what they are."""

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
    filled_in,
)
from tauopt.config.settings.inputs import Feature
from tauopt.config.settings.layout import CandidateLayout, Layout


class Simulation(Settings):
    """A sample that `tauopt simulate` makes in the per-user cache on first use."""

    taus: int = Field(default=60_000, gt=0)
    """Candidates from gamma*/Z -> tau tau."""
    jets: int = Field(default=60_000, gt=0)
    """Candidates from dijets."""
    seed: int = Field(default=1, ge=1, le=900_000)
    """The same seed gives the same files."""
    pileup: float = Field(default=35.0, ge=0, le=200)
    """Mean number of interactions a bunch crossing."""
    tau_decays: Literal[0, 1, 5] = 5
    """Pythia's TauDecays:mode: 0 phase space, 5 hadronic currents, 1 currents and spin."""


class Sample(Settings):
    """Files of one process."""

    model_config = filled_in("classes")

    files: tuple[str, ...] = Field(min_length=1)
    """Path globs, expanded and sorted; relative to the dataset file, or to the simulated sample.
    ROOT, HDF5, Parquet or Feather, told by the files; `%d` in a name stands for any number.
    Files at `root://` and `https://` addresses are copied into the cache, each named in full."""
    tree: str = "candidates"
    """Name of the TTree or RNTuple, or of the HDF5 dataset or group of the candidates' own
    variables; an HDF5 file that holds nothing of the default name is read without it."""
    friends: tuple[str, ...] = ()
    """Trees of the same ROOT file, joined entry by entry; all need as many entries. Branches are
    looked for in `tree` first, then here in order; `<friend>.<branch>` says which one."""
    weight: ExpressionText = "1"
    """Expression of the physics weight of a candidate."""
    classes: tuple[Name, ...] = Field(min_length=1)
    """The classes that this sample may hold; a candidate of another class is left out. Where no
    sample says which, each may hold all of them."""


class Split(Settings):
    """Train, validation and test as expressions on the event number, which must not overlap.

    Or k folds, by a hash of the event number that is the same everywhere: `{folds: 5, fold: 0}`.
    Where both are given, the folds count, so that `--set data.split.folds=5` is enough.
    """

    train: OptionalExpression = ""
    """Fits weights and constants."""
    validation: OptionalExpression = ""
    """Gives the objective of a search."""
    test: OptionalExpression = ""
    """Sealed until a trial is judged for promotion."""
    folds: int | None = Field(default=None, ge=3, le=1000)
    """Number of folds; the three expressions are then not used."""
    fold: int = Field(default=0, ge=0)
    """The fold that is test, from 0; the next one is validation (the first after the last), the
    others are train."""

    @model_validator(mode="after")
    def _three_expressions_or_folds(self) -> Self:
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"expected a fold from 0 to {self.folds - 1}, got {self.fold}")
        lacking = [n for n in ("train", "validation", "test") if not getattr(self, n)]
        if self.folds is None and lacking:
            raise ValueError(f"{', '.join(lacking)} is missing; give all three, or `folds`")
        return self


class Group(Settings):
    """Objects of one kind that belong to a candidate, for instance its tracks."""

    features: dict[Variable, Feature] = Field(min_length=1)
    """Features in the order of the last axis; scalar branches are repeated for each object."""
    select: OptionalExpression = ""
    """Expression that keeps an object, for instance `track_pt > 1000`; empty keeps all."""
    order_by: OptionalExpression = ""
    """Expression by which objects are sorted, descending; empty keeps the ntuple's order."""


class BinnedVariable(Settings):
    """Bins of one variable; the outermost are open, so that no value lies outside."""

    expression: OptionalExpression = ""
    """Branch or expression over branches; empty means the variable's own name."""
    bins: int = Field(default=20, ge=1, le=1000)
    """Quantile bins of the classes that are reweighted; not used where `edges` are given."""
    edges: tuple[float, ...] = Field(default=(), max_length=1000)
    """Edges between bins, increasing: n edges make n + 1 bins, since the first and the last are
    open."""

    @model_validator(mode="after")
    def _increasing(self) -> Self:
        if any(high <= low for low, high in pairwise(self.edges)):
            raise ValueError("expected edges that increase")
        return self


MAX_BINS = 20_000
"""Bins over all variables of a reweighting."""


class Reweight(Settings):
    """Give every class one spectrum, so that it can't be learned.

    Weights are fitted on the training split in quantile bins of the reweighted classes, or in
    given bins, and applied to all splits; the sum of weights of each class is kept.
    """

    variable: OptionalExpression = ""
    """Expression, usually the transverse momentum; for several give `variables`."""
    to: tuple[Name, ...] = ()
    """Classes whose joint spectrum the others take."""
    bins: int = Field(default=49, ge=1, le=1000)
    """Quantile bins of `variable` of the classes that are reweighted."""
    variables: dict[Variable, BinnedVariable] = {}
    """Variables by name, with the bins of each; reweighted are the bins of all of them together."""
    target: Literal["classes", "flat", "mean"] = "classes"
    """What every class takes: the spectrum of the classes `to`; the same sum of weights in every
    bin; or the mean of the spectra of all classes, each normalised to one."""
    max_ratio: float | None = Field(default=None, gt=1)
    """The largest factor of a class over its smallest above zero must not be more; none sets no
    limit."""

    @property
    def axes(self) -> dict[str, BinnedVariable]:
        """The variables by name; a single one is called `variable`."""
        one = BinnedVariable(expression=self.variable, bins=self.bins)
        return {"variable": one} if self.variable else self.variables

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if bool(self.variable) == bool(self.variables):
            raise ValueError("expected either `variable` or `variables`")
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
"""Class -> share."""


class Resample(Settings):
    """Balance the training split by how many candidates it has, not by what they weigh.

    Of each class and bin of `reweight`, candidates are drawn until there are as many as its
    balanced sum of weights says: all of a bin have the same chance, and keep their weights
    relative to the bin's mean. Sums of weights are expected to be those of balancing by weights,
    which is what the validation and test splits have: of them nothing is left out or repeated.
    """

    replacement: bool
    """`true` draws a candidate several times where there are too few, every time to another place
    of the shuffled order. `false` leaves candidates out where there are too many."""
    candidates: int | None = Field(default=None, gt=0)
    """Training candidates to expect; none means as many as there were with replacement, and as
    many as can be had without."""


class Dataset(Settings):
    """Where candidates come from, what they are, and which of their features networks see."""

    name: Name
    """Becomes the name of the prepared dataset's folder, with a digest behind it."""
    simulate: Simulation | None = None
    """Simulate the sample on first use; files are then looked for in the simulated folder."""
    layout: Layout = CandidateLayout()
    """What one entry of a tree is: a candidate, or an event with a list of candidates."""
    samples: dict[Name, Sample] = Field(min_length=1)
    """Files of each process, by name."""
    classes: dict[Name, ExpressionText] = Field(min_length=2)
    """What a candidate is: one selection a class; a candidate with none or two is an error."""
    selection: OptionalExpression = ""
    """Expression that keeps a candidate; empty keeps all."""
    cuts: dict[Variable, ExpressionText] = {}
    """Named expressions that must hold too. A file that extends this one replaces or adds a cut by
    its name, and takes one out with `null`, so that no selection is written twice."""
    event_number: ExpressionText = "event_number"
    """Branch or expression of the event number, an integer."""
    split: Split
    """Which candidates train, validate and test."""
    candidate: dict[Variable, Feature] = Field(min_length=1)
    """The candidate's own features, in order."""
    groups: dict[Variable, Group] = {}
    """Groups of objects, by name."""
    spectators: dict[Variable, ExpressionText] = {}
    """Kept for evaluation and not seen by networks: name -> expression. `pt`, `eta`, `mu` and
    `prongs` have a meaning for metrics and figures."""
    reweight: Reweight | None = None
    """Give all classes the same spectrum of variables; none leaves the weights as they are."""
    proportions: Proportions = {}
    """Class -> its share of the sum of weights, for instance {jet: 0.5}; classes that are not
    named share the rest in the proportions that they have. Fitted on the training split."""
    resample: Resample | None = None
    """Balance the training split by drawing candidates; none balances by weights."""
    negative_weights: Literal["keep", "drop", "absolute"] = "keep"
    """What to do with candidates of negative weight: keep them, leave them out, or take the
    weight without its sign. Counted in the manifest in any case."""
    missing: Literal["error", "drop", "impute"] = "error"
    """What to do with candidates that hold a NaN or infinite feature: stop, leave them out, or
    put the feature's training mean. Counted in the manifest either way."""
    bad_files: int = Field(default=0, ge=0)
    """Files that may be unreadable before preparation stops; they are named in the manifest."""
    stream: Literal["prepared", "direct"] = "prepared"
    """`prepared` copies the selected candidates into chunks, once. `direct` keeps only labels,
    weights and places, and reads the features of the training and test splits from the ROOT
    files in each epoch: for data that should not be copied. Validation is copied either way,
    since every report reads it."""
    chunk_size: int = Field(default=100_000, ge=1)
    """Candidates a chunk: a uniform sample of the whole mixture."""

    @field_validator("resample")
    @classmethod
    def _something_to_draw(cls, resample: Resample | None, info: ValidationInfo) -> Resample | None:
        balanced = info.data.get("reweight", True) or info.data.get("proportions", True)
        if resample and not balanced:
            raise ValueError("expected `reweight` or `proportions` to balance by")
        return resample

    @field_validator("stream")
    @classmethod
    def _copied_if_drawn(cls, stream: str, info: ValidationInfo) -> str:
        if stream == "direct" and info.data.get("resample"):
            raise ValueError(
                "direct does not go with `resample`, whose candidates are drawn to new places; "
                "balance by weights (leave `resample` out), or set `prepared`"
            )
        return stream
