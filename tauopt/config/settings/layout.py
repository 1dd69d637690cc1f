"""What one entry of a tree is: one candidate, or one event with a list of candidates."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from tauopt.config.settings.base import ExpressionText, Settings, Variable

BranchName = Annotated[str, StringConstraints(pattern=r"^[^\s'\"]{1,256}$")]
"""The name of a branch, or how some branches' names begin."""

RESERVED = ("matched", "d_eta", "d_phi", "d_r")
"""What every object has beside its collection's variables; they hide branches of these names."""


class CandidateLayout(Settings):
    """One candidate an entry: scalars are its own, lists are its objects."""

    type: Literal["candidates"] = "candidates"
    """One candidate an entry."""


class AssociatedObjects(Settings):
    """Objects of another collection that belong to a candidate.

    Exactly one of `index`, `links`, `cone` and `nearest` says which. Called `jet`, they are
    `jet.pt`, `jet.eta`, ... in expressions, after the branches of the collection, and also
    `jet.matched` (is there one?) and `jet.d_eta`, `jet.d_phi`, `jet.d_r` (object minus candidate,
    phi wrapped). `nearest`, and an index or link that a candidate has one of, give one object;
    the others a list.
    """

    collection: BranchName
    """How the names of the collection's branches begin: `Jet_`, `InDetTrackParticlesAuxDyn.`"""
    index: BranchName | None = None
    """Branch of the candidates that holds positions in the collection; -1 is none."""
    links: tuple[BranchName, ...] = Field(default=(), max_length=2)
    """ElementLinks from the candidates to the collection, or over one between: at most two
    branches. Null links and those into other collections are left out."""
    keys: tuple[Annotated[int, Field(gt=0)], ...] = ()
    """`m_persKey` of each step's links into the right collection; only needed if the file's
    metadata do not tell."""
    cone: float | None = Field(default=None, gt=0, le=10)
    """All objects closer to the candidate than this, in (eta, phi)."""
    nearest: float | None = Field(default=None, gt=0, le=10)
    """The nearest object, if it is closer to the candidate than this; candidates may share it."""
    eta: ExpressionText = "eta"
    """Pseudorapidity, over the collection's variables: `-log(tan(theta / 2))`."""
    phi: ExpressionText = "phi"
    """Azimuthal angle, over the collection's variables."""
    unmatched: float = 0.0
    """What variables of one object are if there is none."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = ("index", "links", "cone", "nearest")
        chosen = [way for way in ways if getattr(self, way)]
        if len(chosen) != 1:
            got = " and ".join(chosen) or "none"
            raise ValueError(f"expected exactly one of {', '.join(ways)}, got {got}")
        if self.keys and len(self.keys) != len(self.links):
            raise ValueError(f"expected a key for each of {len(self.links)} links")
        return self


class EventLayout(Settings):
    """One event an entry: candidates are a collection of lists.

    Branches keep their names in expressions. Those of the candidates' collection hold one value
    a candidate (a list if they are vectors of vectors); those of `objects` are called by the
    object's name; all others are the event's, and every candidate has them.
    """

    type: Literal["events"]
    """One event an entry."""
    candidates: BranchName
    """How the names of the candidates' branches begin: `Tau_`, `AnalysisTauJetsAuxDyn.`"""
    eta: ExpressionText = "eta"
    """The candidate's pseudorapidity over its collection's variables, for cones and distances."""
    phi: ExpressionText = "phi"
    """The candidate's azimuthal angle over its collection's variables."""
    objects: dict[Variable, AssociatedObjects] = {}
    """Other collections whose objects belong to a candidate, by the name in expressions."""


Layout = Annotated[CandidateLayout | EventLayout, Field(discriminator="type")]
"""Chosen by `type`: `candidates` or `events`."""
