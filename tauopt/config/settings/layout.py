"""Layout of a tree: each entry is one candidate, or one event with a list of candidates."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from tauopt.config.settings.base import ExpressionText, Settings, Variable

BranchName = Annotated[str, StringConstraints(pattern=r"^[^\s'\"]{1,256}$")]
"""The name of a branch, or the prefix of several branches' names."""

RESERVED = ("matched", "d_eta", "d_phi", "d_r")
"""Variables that every object has besides its collection's; they hide branches of these names."""


class CandidateLayout(Settings):
    """One candidate per entry: scalar branches are its own, lists are its objects."""

    type: Literal["candidates"] = "candidates"
    """One candidate per entry."""


class AssociatedObjects(Settings):
    """Objects of another collection that are matched to a candidate.

    Exactly one of `index`, `links`, `cone` and `nearest` sets the matching. In expressions, the
    objects of the entry `jet` have the variables `jet.pt`, `jet.eta`, ... (the branches of the
    collection), `jet.matched` (whether there is one) and `jet.d_eta`, `jet.d_phi`, `jet.d_r`
    (object minus candidate, phi wrapped). `nearest`, and an index or link with one value per
    candidate, give one object; the others give a list.
    """

    collection: BranchName
    """Prefix of the names of the collection's branches: `Jet_`, `InDetTrackParticlesAuxDyn.`"""
    index: BranchName | None = None
    """Branch of the candidates that holds positions in the collection; -1 is none."""
    links: tuple[BranchName, ...] = Field(default=(), max_length=2)
    """ElementLinks from the candidates to the collection, directly or through one other collection:
    at most two branches. Null links and links into other collections are left out."""
    keys: tuple[Annotated[int, Field(gt=0)], ...] = ()
    """`m_persKey` of the target collection for each branch in `links`; only needed if the file's
    metadata lack it."""
    cone: float | None = Field(default=None, gt=0, le=10)
    """Cone size in (eta, phi): all objects closer to the candidate than this."""
    nearest: float | None = Field(default=None, gt=0, le=10)
    """Largest distance in (eta, phi) of the nearest object, which candidates may share."""
    eta: ExpressionText = "eta"
    """Pseudorapidity as an expression of the collection's variables: `-log(tan(theta / 2))`."""
    phi: ExpressionText = "phi"
    """Azimuthal angle as an expression of the collection's variables."""
    unmatched: float = 0.0
    """Value of the variables of a single object if there is no match."""

    @model_validator(mode="after")
    def _one_matching(self) -> Self:
        matchings = ("index", "links", "cone", "nearest")
        chosen = [name for name in matchings if getattr(self, name)]
        if len(chosen) != 1:
            got = " and ".join(chosen) or "none"
            raise ValueError(f"expected exactly one of {', '.join(matchings)}, got {got}")
        if self.keys and len(self.keys) != len(self.links):
            expected = f"a key for each of {len(self.links)} links"
            raise ValueError(f"expected {expected}, got {len(self.keys)}")
        return self


class EventLayout(Settings):
    """One event per entry: the candidates are a collection of lists.

    Branches keep their names in expressions. Those of the candidates' collection hold one value
    per candidate (a list if they are vectors of vectors); those of `objects` have the prefix that
    is set there; all others belong to the event and are repeated for each candidate.
    """

    type: Literal["events"]
    """One event per entry."""
    candidates: BranchName
    """Prefix of the names of the candidates' branches: `Tau_`, `AnalysisTauJetsAuxDyn.`"""
    eta: ExpressionText = "eta"
    """Pseudorapidity of a candidate as an expression of its collection's variables, for cones and
    distances."""
    phi: ExpressionText = "phi"
    """Azimuthal angle of a candidate as an expression of its collection's variables."""
    objects: dict[Variable, AssociatedObjects] = {}
    """Other collections whose objects are matched to a candidate, by their name in expressions."""


Layout = Annotated[CandidateLayout | EventLayout, Field(discriminator="type")]
"""Layout of a tree's entries, selected by `type`: `candidates` or `events`."""
