"""The mistakes of the systems before this one, and the tests that would catch them here."""

import ast
import tomllib
from pathlib import Path

import numpy as np
import pytest

from tauopt.config.settings.experiment import Task
from tauopt.dataset.network_inputs import input_spec, task_labels
from tauopt.prepare.direct_streaming import open_dataset
from tauopt.prepare.prepare_dataset import prepare
from tauopt.stream.batches import batches, kept
from tests.ntuples_factory import columns, dataset, write

ROOT = Path(__file__).parents[1]

CAUGHT_BY = {
    "tensors laid out (candidate, variable, object), or a value used as mask": [
        "models/test_contract.py::test_layers_act_on_variables_not_on_object_slots",
        "models/test_contract.py::test_values_in_masked_slots_do_not_change_the_output",
        "models/test_preprocessing.py::"
        "test_masked_slots_become_zero_though_the_transform_of_zero_is_not",
    ],
    "validation and test are the same candidates": [
        "prepare/test_prepare_dataset.py::test_splits_share_no_event_and_hold_what_the_event_number_says",
        "prepare/test_folds.py::test_every_event_is_in_exactly_one_split",
        "prepare/test_folds.py::test_candidates_of_one_event_share_a_split",
    ],
    "selections that begin after the first epoch; steps counted before cuts": [
        "test_mistakes.py::test_every_epoch_holds_the_selected_candidates_and_its_steps_count_them",
    ],
    "digitize off by one, an index error in overflow": [
        "prepare/test_binning.py::test_bins_agree_with_a_slow_reference_and_hold_every_value",
        "prepare/test_binning.py::test_bins_in_several_variables_agree_with_a_slow_reference",
        "prepare/test_reweight.py::test_weights_in_several_variables_agree_with_a_slow_reference",
    ],
    "statistics from train, validation and test together": [
        "prepare/test_prepare_dataset.py::test_constants_come_from_the_training_split_alone",
        "prepare/test_reweight.py::test_factors_come_from_the_training_split_alone",
    ],
    "an unsorted glob decides the split": [
        "ntuples/test_input_globs.py::test_globs_are_sorted_and_each_file_comes_once",
        "prepare/test_prepare_dataset.py::test_neither_names_of_files_nor_steps_of_reading_matter",
    ],
    "the selection written twice": [
        "prepare/test_direct_streaming.py::"
        "test_selections_sortings_and_dropped_candidates_agree_with_copied_ones",
    ],
    "a typo in a schedule's name disables the schedule": [
        "training/test_early_stopping.py::test_a_typo_in_a_schedule_is_an_error_and_never_disables_it",
        "training/test_learning_rate.py::test_an_unknown_schedule_is_an_error",
    ],
    "a hundred chunk tests at 5 %, uncorrected": [
        "prepare/test_chunk_validation.py::"
        "test_shuffled_sets_fail_at_the_stated_rate_and_uncorrected_tests_would_nearly_always",
    ],
    "uninitialised memory in padding; a filter index lost after selection": [
        "stream/test_padding.py::test_padding_equals_the_slow_reference",
        "prepare/test_prepare_dataset.py::"
        "test_selections_of_candidates_and_objects_agree_with_a_slow_reference",
        "stream/test_batches.py::test_values_stay_with_their_candidate_when_shuffled",
    ],
    "a debugger call before fit": ["test_mistakes.py::test_the_linter_finds_debugger_calls"],
}
"""Mistake -> tests."""


@pytest.mark.parametrize("test", [test for tests in CAUGHT_BY.values() for test in tests])
def test_the_tests_that_catch_them_are_there(test):
    file, name = test.split("::")
    tree = ast.parse((ROOT / "tests" / file).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("stream", ["prepared", "direct"])
def test_every_epoch_holds_the_selected_candidates_and_its_steps_count_them(tmp_path, stream):
    content = columns(900)
    write(tmp_path / "in" / "a.root", content)
    settings = dataset(tmp_path / "in", selection="abs(eta) < 1.5 && prongs == 1", stream=stream)
    train = open_dataset(prepare(settings, cache=tmp_path))
    selected = (np.abs(content["eta"]) < 1.5) & (content["prongs"] == 1)
    wanted = np.sort(content["pt"][selected & (content["event_number"] % 10 < 6)])
    task = Task(classes={"jet": ("jet",), "tau": ("tau",)}, signal=("tau",))
    spec = input_spec(train.manifest, task, {"tracks": 3})
    label_map = task_labels(train.manifest.classes, task)
    assert kept(train.train, label_map) == len(wanted)
    for epoch in (0, 1, 2):
        given = {"spec": spec, "label_map": label_map, "batch_size": 64, "seed": 1, "epoch": epoch}
        found = list(batches(train.train, **given))
        assert len(found) == -(-len(wanted) // 64)
        seen = np.concatenate([batch.inputs["candidate"][:, 0] for batch in found])
        np.testing.assert_array_equal(np.sort(seen), wanted)


def test_the_linter_finds_debugger_calls():
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert "T10" in lint["select"]
    assert "T10" not in lint["ignore"]
