"""The expressions and split rules of a dataset file, parsed once."""

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
    """One feature: its expression and its transform."""

    name: str
    label: str
    """Its name with the group's, for messages: `tracks.pt`."""
    expression: Expression
    transform: Transform


@dataclass(frozen=True)
class GroupPlan:
    """Objects of one kind, such as tracks: their features, selection and order."""

    name: str
    features: tuple[FeaturePlan, ...]
    select: Expression | None
    order_by: Expression | None

    @property
    def expressions(self) -> list[Expression]:
        """Expressions of the features, the selection and the order."""
        features = [feature.expression for feature in self.features]
        return features + [part for part in (self.select, self.order_by) if part]


@dataclass(frozen=True)
class DatasetExpressions:
    """All expressions of a dataset, but the weights of its samples."""

    selection: dict[str, Expression]
    """Name of a cut in the dataset file -> condition; all must hold. A conjunction (&&) is split
    into its parts."""
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
        """Expressions that decide selection, class and split of a candidate."""
        return (*self.selection.values(), *self.classes.values(), self.event_number)

    def branches(self, weight: Expression) -> tuple[str, ...]:
        """Return the branches that a sample with this weight must have."""
        return branches_of(
            (
                *self.labelling,
                *(feature.expression for feature in self.candidate),
                *(expression for group in self.groups for expression in group.expressions),
                *self.spectators.values(),
                *self.reweight.values(),
                weight,
            )
        )


def make_plan(dataset: Dataset) -> DatasetExpressions:
    """Parse all expressions of a dataset.

    Raises:
        DataError: one is no expression, or a split depends on more than the event number.
    """
    event_number = parse_expression(dataset.event_number, "event_number")
    if not event_number.branches:
        raise DataError(f"event_number: {event_number.text!r} reads no branch")
    return DatasetExpressions(
        selection=dict(_selection(dataset)),
        classes={
            name: parse_expression(text, f"classes.{name}")
            for name, text in dataset.classes.items()
        },
        event_number=event_number,
        splits=_splits(dataset.split, event_number),
        candidate=_features(CANDIDATE, dataset.candidate),
        groups=tuple(_group(name, group) for name, group in dataset.groups.items()),
        spectators={
            name: parse_expression(text, f"spectators.{name}")
            for name, text in dataset.spectators.items()
        },
        reweight={
            name: parse_expression(variable.expression or name, f"reweight.{name}")
            for name, variable in (dataset.reweight.axes if dataset.reweight else {}).items()
        },
    )


def parse_expression(text: str, where: str) -> Expression:
    """Parse an expression of the dataset file; a DataError names its place in the file, `where`."""
    try:
        return parse(text)
    except ExpressionError as error:
        raise DataError(f"{where}: {error}") from None


def _splits(split: Split, event_number: Expression) -> dict[SplitName, SplitRule]:
    if split.folds is not None:
        return fold_rules(split.folds, split.fold)
    rules: dict[SplitName, SplitRule] = {}
    for name in SPLITS:
        expression = parse_expression(getattr(split, name), f"split.{name}")
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
        for part in conjuncts(parse_expression(text, name)):
            yield f"{name}: {part.text}", part


def _group(name: str, group: Group) -> GroupPlan:
    parts = {
        key: parse_expression(text, f"groups.{name}.{key}") if text else None
        for key, text in (("select", group.select), ("order_by", group.order_by))
    }
    return GroupPlan(name=name, features=_features(name, group.features), **parts)


def _features(group: str, features: dict[str, Feature]) -> tuple[FeaturePlan, ...]:
    return tuple(
        FeaturePlan(
            name=name,
            label=f"{group}.{name}",
            expression=parse_expression(feature.expression or name, f"{group}.{name}"),
            transform=Transform(**feature.model_dump(exclude={"expression"})),
        )
        for name, feature in features.items()
    )
