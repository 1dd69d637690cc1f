"""What a search takes over from earlier ones (warm start), joined, and its file in the folder.

Earlier searches are ranked by how alike they are to the new one: first those with the same prepared
dataset, then those with the same objectives, then those with the same training method; then by the
number of settings that are ranges in both, and by the number of these whose ranges are equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from optuna.distributions import json_to_distribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from tauopt.config.source.yaml_source import Scalar
from tauopt.durable import write_json
from tauopt.errors import CorruptError
from tauopt.study._optuna_internals import set_trial_id
from tauopt.study.suggest import Space, distribution, key

FILE = "warm_start.json"
"""File of the warm start, in the search's folder."""
WARM_START_TAG = "tauopt.warm_start"
"""Tag of the search's MLflow runs: names of the earlier searches."""
POINTS = 5
"""Maximum number of points of earlier searches, in all, that are tried first."""


@dataclass(frozen=True, order=True)
class Alikeness:
    """How alike an earlier search is to a new one; the larger, the more."""

    same_data: bool = True
    same_objectives: bool = True
    same_method: bool = True
    shared: int = 0
    """Settings that are ranges in both."""
    equal: int = 0
    """Of those, the ones with equal ranges."""

    def __str__(self) -> str:
        data = "same data" if self.same_data else "other data"
        goals = "same objectives" if self.same_objectives else "other objectives"
        return f"{data}, {goals}, {self.shared} ranges in both, {self.equal} of them equal"


@dataclass(frozen=True)
class EarlierTrial:
    """A trial of an earlier search, as a trial of the new space."""

    params: Mapping[str, Scalar]
    state: str
    values: Sequence[float] | None
    reports: Mapping[int, float] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Distributions, as Optuna's JSON, of the parameters that a user's HyperModel requests: they
    are no ranges of the file."""
    number: int = -1
    """Number of the trial in the earlier search; -1 in files from before it was kept."""
    search: str = ""
    """Name of the earlier search."""


@dataclass(frozen=True)
class EarlierPoint:
    """A point of an earlier search that is tried first, and the trial that it is from."""

    params: Mapping[str, Scalar]
    search: str
    number: int = -1
    """Number of the trial; -1 in files from before it was kept."""
    value: float | None = None
    """Its first objective there; None in files from before it was kept."""


@dataclass(frozen=True)
class EarlierSearch:
    """An earlier search that something is taken over from."""

    name: str
    alikeness: Alikeness = Alikeness()
    notes: tuple[str, ...] = ()
    """What was changed or left out, in words."""


@dataclass(frozen=True)
class WarmStart:
    """What a search takes over from earlier ones."""

    searches: tuple[EarlierSearch, ...]
    """The most alike first."""
    points: tuple[EarlierPoint, ...] = ()
    """Points that are tried first, in this order."""
    history: tuple[EarlierTrial, ...] = ()
    """Trials that the sampler learns from."""

    @property
    def names(self) -> str:
        """Names of the earlier searches, in words."""
        return ", ".join(search.name for search in self.searches)

    def lines(self) -> Iterator[str]:
        """Yield a summary: points, trials to learn from, and what was changed or left out."""
        for search in self.searches:
            points = [point for point in self.points if point.search == search.name]
            past = [trial for trial in self.history if trial.search == search.name]
            counts = f"{len(points)} points to try first, {len(past)} trials to learn from"
            alike = f" ({search.alikeness})" if len(self.searches) > 1 else ""
            yield f"from {search.name}{alike}: {counts}"
            tried, learned = ([entry.number for entry in part] for part in (points, past))
            for use, numbers in (("tried first", tried), ("learned from", sorted(learned))):
                known = [f"t{number:03d}" for number in numbers if number >= 0]
                if known:
                    yield f"  {use}: {', '.join(known)}"
            yield from (f"  {note}" for note in search.notes)


def joined(starts: Iterable[WarmStart]) -> WarmStart:
    """Join what is taken over from several earlier searches.

    The best point of each comes first, that of the most alike search at the head, then the second
    best of each, up to `POINTS` different ones; the sampler learns from the trials of all.

    Args:
        starts: of one earlier search each; equally alike ones keep this order.
    """
    ordered = sorted(starts, key=lambda start: start.searches[0].alikeness, reverse=True)
    different: dict[str, EarlierPoint] = {}
    for points in zip_longest(*(start.points for start in ordered)):
        for point in points:
            if point is not None:
                different.setdefault(key(point.params), point)
    return WarmStart(
        searches=tuple(search for start in ordered for search in start.searches),
        points=tuple(different.values())[:POINTS],
        history=tuple(past for start in ordered for past in start.history),
    )


def frozen_history(warm: WarmStart, space: Space) -> list[FrozenTrial]:
    """Return the history as trials of the new space.

    Their numbers are negative, so that none is the number of a trial of the new study.
    """
    trials = []
    for number, past in enumerate(warm.history, start=1):
        state = TrialState[past.state]
        trial = create_trial(
            state=state,
            values=list(past.values) if state is TrialState.COMPLETE and past.values else None,
            params=dict(past.params),
            distributions={
                name: json_to_distribution(past.kinds[name])
                if name in past.kinds
                else distribution(space[name])
                for name in past.params
            },
            intermediate_values=dict(past.reports),
        )
        set_trial_id(trial, -number)
        trials.append(trial)
    return trials


def write_warm(folder: Path, warm: WarmStart) -> None:
    """Write the warm start of a search into its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, asdict(warm))


def read_warm(folder: Path) -> WarmStart | None:
    """Return the warm start of a search; None if it began without one.

    Raises:
        CorruptError: the file is not as `write_warm` writes it.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
        return _of_one_search(content) if "of" in content else _warm_start(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptError(
            f"{path}: expected a warm start as the search wrote it, got: {error}; restore it, "
            "or delete it to go on without the outcomes of the earlier search"
        ) from error


def _warm_start(content: Mapping[str, Any]) -> WarmStart:
    return WarmStart(
        searches=tuple(
            EarlierSearch(search["name"], Alikeness(**search["alikeness"]), tuple(search["notes"]))
            for search in content["searches"]
        ),
        points=tuple(EarlierPoint(**point) for point in content["points"]),
        history=tuple(_earlier_trial(past) for past in content["history"]),
    )


def _of_one_search(content: Mapping[str, Any]) -> WarmStart:
    """Read a file from before several searches could be named."""
    name = content["of"]
    numbers = content.get("numbers") or [-1] * len(content["points"])
    points = zip(content["points"], numbers, strict=True)
    return WarmStart(
        searches=(EarlierSearch(name, notes=tuple(content["notes"])),),
        points=tuple(EarlierPoint(params, name, number) for params, number in points),
        history=tuple(_earlier_trial({"search": name, **past}) for past in content["history"]),
    )


def _earlier_trial(past: Mapping[str, Any]) -> EarlierTrial:
    reports = {int(step): value for step, value in past["reports"].items()}
    return EarlierTrial(**{**past, "reports": reports})
