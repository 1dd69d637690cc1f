"""What a search tries first, in order, and where each of these points is from.

The literature's values come before anything else, of each architecture where there are several;
then the points of earlier searches; then what the sampler proposes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import optuna

from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.settings.ranges import same
from tauopt.config.source.yaml_source import Scalar
from tauopt.config.space.conditions import value_at
from tauopt.study.samplers import check_sampler
from tauopt.study.suggest import key
from tauopt.study.trial_attributes import point_of
from tauopt.study.trial_queue import TrialQueue
from tauopt.study.warm_start_record import WarmStart, frozen_history

if TYPE_CHECKING:
    from tauopt.study.hypermodel_space import HyperModelSpace


@dataclass(frozen=True)
class FirstPoint:
    """A point that a search tries, and where it is from."""

    params: Mapping[str, Scalar]
    origin: Literal["literature", "earlier search", "sampled"]
    search: str = ""
    """Name of the earlier search."""
    trial: int = -1
    """Number of its trial there."""
    value: float | None = None
    """The first objective of that trial."""
    moved: tuple[str, ...] = ()
    """The literature's values that lie outside the ranges, each with the value in its place."""

    def __str__(self) -> str:
        if self.origin == "literature":
            moved = f"; moved into the ranges: {', '.join(self.moved)}" if self.moved else ""
            return f"the literature's values{moved}"
        if self.origin == "sampled":
            return "sampled"
        trial = f" t{self.trial:03d}" if self.trial >= 0 else ""
        value = "" if self.value is None else f": {self.value:.5g}"
        return f"from {self.search}{trial}{value}"


def starting_points(
    file: ExperimentFile, hypermodel: HyperModelSpace | None, warm: WarmStart | None
) -> list[FirstPoint]:
    """Return the points that are tried before sampled ones, without repetition.

    Args:
        file: the experiment.
        hypermodel: space of a user's HyperModel; None for tauopt's networks.
        warm: points and outcomes of earlier searches.
    """
    defaults = hypermodel.default_point() if hypermodel else {}
    branches = file.alternatives.values()
    points = [
        FirstPoint({**point, **defaults}, "literature", moved=tuple(_moved(branch)))
        for point, branch in zip(file.starts(), branches, strict=True)
    ]
    for past in warm.points if warm else ():
        points.append(
            FirstPoint(past.params, "earlier search", past.search, past.number, past.value)
        )
    different: dict[str, FirstPoint] = {}
    for point in points:
        different.setdefault(key(point.params), point)
    return list(different.values())


def _moved(file: ExperimentFile) -> Iterator[str]:
    """Yield the literature's values of one architecture that are not in their ranges."""
    for path, value in file.defaults().items():
        published = value_at(file.without_ranges, path)
        if published is not None and not same(published, value):
            yield f"{path} {published} -> {value}"


def first_trials(
    file: ExperimentFile,
    *,
    count: int,
    hypermodel: HyperModelSpace | None = None,
    warm: WarmStart | None = None,
) -> list[FirstPoint]:
    """Return the points of a search's first trials: its starting points and sampled ones.

    The file's sampler proposes the latter in a study in memory; a model-based sampler begins at
    random.

    Args:
        file: the experiment.
        count: largest number of sampled trials; there are no more trials than the search has.
        hypermodel: space of a user's HyperModel; None for tauopt's networks.
        warm: points and outcomes of earlier searches.
    """
    search = file.base.search
    starts = starting_points(file, hypermodel, warm)[: search.trials]
    settings = search.model_copy(update={"trials": min(len(starts) + count, search.trials)})
    check_sampler(settings.sampler)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = [goal.direction for goal in file.base.objective.goals]
    study = optuna.create_study(directions=directions)
    for point in starts:
        study.enqueue_trial(dict(point.params))
    history = frozen_history(warm, file.space) if warm else []
    queue = TrialQueue(study, settings, space=file.space, hypermodel=hypermodel, history=history)
    proposals = (queue.next_trial() for _ in range(settings.trials))
    trials: list[FirstPoint] = []
    for proposal in proposals:
        if proposal is None:
            break
        point = FirstPoint(dict(proposal.params), "sampled")
        if proposal.number < len(starts):
            point = replace(starts[proposal.number], params=point.params)
        trials.append(point)
    return trials


def enqueue_missing(study: optuna.Study, points: Iterable[Mapping[str, Scalar]]) -> None:
    """Enqueue those points that are in no trial of a study yet.

    Args:
        study: of a search.
        points: in the order in which they are tried.
    """
    present = {key(point_of(trial)) for trial in study.get_trials(deepcopy=False)}
    for point in points:
        if key(point) not in present:
            present.add(key(point))
            study.enqueue_trial(dict(point))
