"""k folds: every event is tested once, in one split at a time, on its own number alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tauopt.config.settings.dataset import Split
from tauopt.dataset.manifest import SPLITS
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.physics.folds import fold_of
from tauopt.prepare.event_split import fold_rules
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import columns, dataset, write
from tests.prepare.test_prepare_dataset import splits_of


def _members(rules, numbers):
    return {
        name: rule.mask({"event_number": numbers}, entries=len(numbers))
        for name, rule in rules.items()
    }


@given(st.lists(st.integers(0, 2**62), min_size=1), st.integers(3, 9), st.data())
def test_every_event_is_in_exactly_one_split(numbers, folds, data):
    fold = data.draw(st.integers(0, folds - 1))
    masks = _members(fold_rules(folds, fold), np.array(numbers))
    assert np.all(sum(mask.astype(int) for mask in masks.values()) == 1)


def test_every_event_is_test_once_and_validation_once_over_all_folds():
    numbers = np.arange(1000)
    found = [_members(fold_rules(4, fold), numbers) for fold in range(4)]
    for name, times in (("test", 1), ("validation", 1), ("train", 2)):
        assert np.all(sum(masks[name].astype(int) for masks in found) == times)


@pytest.mark.parametrize("fold", [0, 4])
def test_prepared_splits_are_the_folds(ntuples, tmp_path, fold):
    settings = dataset(ntuples, split={"folds": 5, "fold": fold})
    prepared = open_dataset(prepare(settings, cache=tmp_path))
    folds = {
        name: set(fold_of(split.columns(["event_numbers"])["event_numbers"], 5).tolist())
        for name, split in splits_of(prepared).items()
    }
    assert folds["test"] == {fold}
    assert folds["validation"] == {(fold + 1) % 5}
    assert folds["train"] == set(range(5)) - {fold, (fold + 1) % 5}


@pytest.mark.parametrize("split", [None, {"folds": 3, "fold": 1}])
def test_candidates_of_one_event_share_a_split(tmp_path, split):
    """Also when they are in different files and of different classes."""
    for name, tau in (("a", True), ("b", False)):
        content = columns(600, seed=1 + tau, tau=tau)
        content["event_number"] = content["event_number"] // 3  # three candidates an event
        write(tmp_path / "in" / f"{name}.root", content)
    change = {"split": split} if split else {}
    prepared = open_dataset(prepare(dataset(tmp_path / "in", **change), cache=tmp_path))
    numbers = {n: s.columns(["event_numbers"])["event_numbers"] for n, s in
               splits_of(prepared).items()}  # fmt: skip
    assert sum(len(found) for found in numbers.values()) == 1200
    for found in numbers.values():
        assert set(np.unique(found, return_counts=True)[1].tolist()) == {6}
    every = np.concatenate([np.unique(found) for found in numbers.values()])
    assert len(set(every.tolist())) == len(every)


def test_each_fold_is_a_dataset_of_its_own(ntuples, tmp_path):
    folders = {
        prepare(dataset(ntuples, split={"folds": 3, "fold": fold}), cache=tmp_path).name
        for fold in range(3)
    }
    assert len(folders) == 3


def test_folds_take_precedence_over_split_expressions():
    both = Split(train="event_number < 5", validation="", test="", folds=5)
    assert both.folds == 5
    assert set(fold_rules(5, both.fold)) == set(SPLITS)
