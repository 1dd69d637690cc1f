"""The expressions of a dataset file, parsed once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tauopt.config.settings.dataset import Dataset, Group, Split
from tauopt.config.settings.inputs import CANDIDATE, Feature, Transform
from tauopt.dataset.manifest import SPLITS, SplitName
from tauopt.errors import DataError
from tauopt.physics.conjuncts import conjuncts
from tauopt.physics.expressions import Expression, ExpressionError, branches_of, parse
from tauopt.prepare.event_split import EVENT_NUMBER, SplitRule, fold_rules


@dataclass(frozen=True)
class FeaturePlan:
    """One feature: what it is called in messages, where it comes from, and its transform."""

    name: str
    label: str
    expression: Expression
    transform: Transform


@dataclass(frozen=True)
class GroupPlan:
    """Objects of one kind."""

    name: str
    features: tuple[FeaturePlan, ...]
    select: Expression | None
    order_by: Expression | None


@dataclass(frozen=True)
class DatasetExpressions:
    """All expressions of a dataset, but the weights of its samples."""

    selection: dict[str, Expression]
    """Conditions by what the dataset file calls them, a conjunction in its parts; all must hold."""
    classes: dict[str, Expression]
    event_number: Expression
    splits: dict[SplitName, SplitRule]
    candidate: tuple[FeaturePlan, ...]
    groups: tuple[GroupPlan, ...]
    spectators: dict[str, Expression]
    reweight: dict[str, Expression]
    """Name -> variable that is reweighted."""

    @property
    def labelling(self) -> tuple[Expression, ...]:
        """Expressions that say whether, what and in which split a candidate is."""
        return (*self.selection.values(), *self.classes.values(), self.event_number)

    @property
    def values(self) -> tuple[Expression, ...]:
        """Expressions of what is kept of a candidate, but its weight."""
        return tuple(self._values())

    def _values(self) -> Iterator[Expression]:
        yield self.event_number
        yield from (feature.expression for feature in self.candidate)
        for group in self.groups:
            yield from (feature.expression for feature in group.features)
            yield from (part for part in (group.select, group.order_by) if part)
        yield from self.spectators.values()
        yield from self.reweight.values()

    def branches(self, weight: Expression) -> tuple[str, ...]:
        """Return the branches that a sample with this weight must have."""
        return branches_of((*self.labelling, *self.values, weight))


def make_plan(dataset: Dataset) -> DatasetExpressions:
    """Parse all expressions of a dataset.

    Raises:
        DataError: one is no expression, or a split depends on more than the event number.
    """
    event_number = read(dataset.event_number, "event_number")
    if not event_number.branches:
        raise DataError(f"event_number: {event_number.text!r} reads no branch")
    return DatasetExpressions(
        selection=dict(_selection(dataset)),
        classes={name: read(text, f"classes.{name}") for name, text in dataset.classes.items()},
        event_number=event_number,
        splits=_splits(dataset.split, event_number),
        candidate=_features(CANDIDATE, dataset.candidate),
        groups=tuple(_group(name, group) for name, group in dataset.groups.items()),
        spectators={n: read(text, f"spectators.{n}") for n, text in dataset.spectators.items()},
        reweight={
            name: read(variable.expression or name, f"reweight.{name}")
            for name, variable in (dataset.reweight.axes if dataset.reweight else {}).items()
        },
    )


def _splits(split: Split, event_number: Expression) -> dict[SplitName, SplitRule]:
    if split.folds is not None:
        return fold_rules(split.folds, split.fold)
    rules: dict[SplitName, SplitRule] = {}
    for name in SPLITS:
        expression = read(getattr(split, name), f"split.{name}")
        others = set(expression.branches) - {EVENT_NUMBER, event_number.lone_branch}
        if others:
            raise DataError(
                f"split.{name}: {expression.text!r} reads {', '.join(sorted(others))}; a split may "
                f"depend on the event number only ({EVENT_NUMBER!r} or {event_number.text!r})"
            )
        rules[name] = expression
    return rules


def _selection(dataset: Dataset) -> Iterator[tuple[str, Expression]]:
    texts = {"selection": dataset.selection} if dataset.selection else {}
    texts |= {f"cuts.{name}": text for name, text in dataset.cuts.items()}
    for name, text in texts.items():
        for part in conjuncts(read(text, name)):
            yield f"{name}: {part.text}", part


def read(text: str, where: str) -> Expression:
    """Parse an expression of the dataset file; DataError names `where` it stands."""
    try:
        return parse(text)
    except ExpressionError as error:
        raise DataError(f"{where}: {error}") from None


def _group(name: str, group: Group) -> GroupPlan:
    return GroupPlan(
        name=name,
        features=_features(name, group.features),
        select=read(group.select, f"groups.{name}.select") if group.select else None,
        order_by=read(group.order_by, f"groups.{name}.order_by") if group.order_by else None,
    )


def _features(group: str, features: dict[str, Feature]) -> tuple[FeaturePlan, ...]:
    return tuple(
        FeaturePlan(
            name=name,
            label=f"{group}.{name}",
            expression=read(feature.expression or name, f"{group}.{name}"),
            transform=Transform(**feature.model_dump(exclude={"expression"})),
        )
        for name, feature in features.items()
    )
