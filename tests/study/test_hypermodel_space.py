"""A user's HyperModel in a study: a define-by-run space, and a real search."""

import contextlib
import json
import os
import re
import textwrap

import keras_tuner
import optuna
import pytest
from optuna.trial import TrialState

from tauopt.config.settings.experiment import Resources
from tauopt.config.settings.objective import Goal
from tauopt.errors import ConfigError
from tauopt.search import ray_resources
from tauopt.search.driver import run_search
from tauopt.study.hypermodel_check import settled, without_constants
from tauopt.study.hypermodel_space import HyperModelSpace
from tauopt.study.leaderboard_rows import rows
from tauopt.study.provenance import Provenance, differences
from tauopt.study.search_setup import SearchSetup
from tauopt.study.trial_attributes import DUPLICATE_OF, values_of
from tauopt.study.trial_queue import TrialQueue
from tauopt.study.warm_start_record import frozen_history
from tauopt.study.warm_trials import warm_start
from tauopt.tracking.client import connect
from tests.hypermodels.experiments import read_own
from tests.prepared_factory import prepared_dataset
from tests.search.without_ray import without_ray
from tests.undrawn import without_figures

AT = "model.hyperparameters."


def begun(file, *, study=None, defaults=True, on_event=lambda event: None):
    """Return a trial queue over a study in memory, as the driver makes it, and the study."""
    hypermodel = HyperModelSpace(file, without_constants)
    if study is None:
        study = optuna.create_study(direction="maximize")
        if defaults:
            study.enqueue_trial({**file.defaults(), **hypermodel.default_point()})
    hypermodel.learn_names(study)
    search = file.base.search
    return TrialQueue(
        study, search, space=file.space, hypermodel=hypermodel, on_event=on_event
    ), study


def proposed(queue):
    """Complete all proposals; return their values by name."""
    values = []
    while (proposal := queue.next_trial()) is not None:
        queue.complete(proposal.number, 1, 0.5, best=0.5)
        values.append({path.removeprefix(AT): v for path, v in proposal.params.items()})
    return values


def test_a_search_takes_over_points_and_outcomes_of_an_earlier_one(towers):
    file, study, points = towers
    taken = warm_start("old", study.get_trials(), file, file, same_data=True, same_method=True)
    assert [note for note in taken.searches[0].notes if "they are duplicates" not in note] == []
    assert len(taken.history) == len(points)
    trials = frozen_history(taken, file.space)
    assert all(set(trial.distributions) == set(trial.params) for trial in trials)
    again = optuna.create_study(direction="maximize")
    for point in taken.points:
        again.enqueue_trial(dict(point.params))
    first = proposed(begun(file, study=again)[0])[0]
    assert first == points[0]


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    file = read_own(
        tmp_path_factory.mktemp("towers"), "tests.hypermodels.examples:Towers", trials=12
    )
    queue, study = begun(file)
    return file, study, proposed(queue)


def test_the_models_defaults_are_tried_first(towers):
    assert towers[2][0] == {"kind": "wide", "units": 8, "drop": False}


def test_only_what_build_asks_for_is_suggested(towers):
    kinds = {point["kind"] for point in towers[2]}
    assert kinds == {"wide", "deep"}
    for point in towers[2]:
        expected = {"kind", "drop"} | ({"rate"} if point["drop"] else set())
        if point["kind"] == "wide":
            expected |= {"units"}
        else:
            below = range(point["layers"])
            expected |= {f"layer_{i}/{name}" for i in below for name in ("units", "activation")}
            expected |= {"layers"}
        assert set(point) == expected


def test_real_values_are_kept_beside_coded_ones(towers):
    study, points = towers[1], towers[2]
    number = next(i for i, point in enumerate(points) if point["kind"] == "deep")
    trial = study.trials[number]
    assert {path.removeprefix(AT) for path in values_of(trial)} == set(points[number])
    assert values_of(trial)[f"{AT}layer_0/units"] in (2, 4, 8, 16)
    coded = trial.params[f"{AT}layer_0/units under kind=deep"]
    assert (2, 4, 8, 16)[coded] == values_of(trial)[f"{AT}layer_0/units"]


def test_every_kind_is_logged_within_what_the_file_and_the_model_allow(tmp_path):
    narrow = "  hyperparameters: {units: {int: [8, 16]}, rate: {float: [0.5, 0.9]}, lr: 0.01}\n"
    file = read_own(tmp_path, "tests.hypermodels.examples:Knobs", model=narrow, trials=12)
    points = proposed(begun(file)[0])
    assert points[0] == {"units": 8, "narrow": 2, "f": "relu", "rate": 0.5, "lr": 0.01}
    for point in points:
        assert 8 <= point["units"] <= 16
        assert 2 <= point["narrow"] <= 32
        assert 0.5 <= point["rate"] <= 0.9
        assert (point["f"], point["lr"]) == ("relu", 0.01)
    assert len({json.dumps(point) for point in points}) == 12


def test_ranges_of_the_file_and_hyperparameters_are_chosen_together(tmp_path):
    training = "  batch_size: {choice: [64, 128]}\n"
    file = read_own(tmp_path, "tests.hypermodels.examples:picky", training=training, trials=8)
    points = proposed(begun(file)[0])
    assert points[0] == {"training.batch_size": 128, "units": 1, "activation": "relu"}
    assert {point["training.batch_size"] for point in points} == {64, 128}
    assert len({point["units"] for point in points}) > 2
    values = {AT + name if "." not in name else name: v for name, v in points[1].items()}
    experiment = file.resolve(values)
    assert experiment.training.batch_size == points[1]["training.batch_size"]
    assert experiment.model.hyperparameters["units"] == points[1]["units"]


def test_one_name_declared_in_two_ways_is_two_parameters_also_after_a_resume(tmp_path):
    file = read_own(tmp_path, "tests.hypermodels.examples:plain", trials=6)
    queue, study = begun(file)
    first = proposed(queue)
    again, _ = begun(read_own(tmp_path, "tests.hypermodels.examples:plain", trials=12), study=study)
    points = first + proposed(again)
    assert {type(point["size"]) for point in points if point["large"]} == {int}
    assert {point["size"] for point in points if not point["large"]} == {"2", "4"}
    assert {name for trial in study.trials for name in trial.params} == {
        f"{AT}large", f"{AT}size", f"{AT}size (int [16, 32])",
    }  # fmt: skip


def test_a_trial_cut_short_keeps_its_values(tmp_path):
    file = read_own(tmp_path, "tests.hypermodels.examples:Towers", trials=3)
    queue, study = begun(file)
    before = [queue.next_trial().params for _ in range(3)]
    after, _ = begun(file, study=study)
    resumed = [after.next_trial() for _ in range(3)]
    assert [proposal.params for proposal in resumed] == before
    assert all(proposal.resumed for proposal in resumed)
    assert after.next_trial() is None


def test_a_space_without_further_points_ends_the_search(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "tauopt.study.trial_queue._HYPERMODEL_DRAWS", 20
    )  # the model is built for each
    fixed = "  hyperparameters: {kind: wide, drop: false}\n"
    file = read_own(tmp_path, "tests.hypermodels.examples:Towers", model=fixed, trials=20)
    events = []
    queue, _ = begun(file, on_event=events.append)
    assert sorted(point["units"] for point in proposed(queue)) == [8, 16, 24, 32]
    assert queue.exhausted
    assert "nothing is left" in events[-1].message


def test_a_hypermodel_is_searched_for_several_objectives(tmp_path):
    """With stopped trials, a model-based sampler, and a driver that dies half-way."""
    file = read_own(tmp_path, "tests.hypermodels.examples:Towers", trials=16)
    goals = [Goal("auc", "maximize"), Goal("parameters", "minimize")]
    study = optuna.create_study(directions=[goal.direction for goal in goals])
    begun(file, study=study)[0].next_trial()
    queue, _ = begun(file, study=study)
    while (proposal := queue.next_trial()) is not None:
        queue.report(proposal.number, 1, 0.5)
        if proposal.number % 3:
            others = (float(proposal.params.get(f"{AT}units", 4)),)
            queue.complete(proposal.number, 2, 0.5, best=0.5, others=others)
        else:
            queue.prune(proposal.number)
    board = rows(study.trials, tmp_path, goals=goals)
    trained = [row for row in board if row.duplicate_of is None]
    assert len(trained) == 16
    assert all(f"{AT}kind" in row.params for row in trained)
    assert {row.params[f"{AT}kind"] for row in trained} == {"wide", "deep"}
    least = min(row.others["parameters"][0] for row in trained if row.front)
    assert trained[0].front == 1
    assert trained[0].others["parameters"][0] == least


def test_a_point_at_which_the_model_raises_fails_and_the_search_goes_on(tmp_path):
    file = read_own(tmp_path, "tests.hypermodels.examples:picky", trials=12)
    events = []
    queue, study = begun(file, on_event=events.append)
    points = proposed(queue)
    assert {point["units"] for point in points} <= set(range(1, 7))
    failed = [trial for trial in study.trials if trial.state is TrialState.FAIL]
    assert failed
    assert len(points) + len(failed) == 12
    assert failed[0].user_attrs["reason"].startswith("ValueError: too wide: ")
    assert "in picky" in failed[0].user_attrs["traceback"]


def test_a_model_that_always_raises_gives_up(tmp_path):
    file = read_own(tmp_path, "tests.hypermodels.bad:raising", trials=50)
    queue, study = begun(file, defaults=False)
    assert queue.next_trial() is None
    assert queue.gives_up()
    assert len(study.trials) == 3


def test_a_trial_is_begun_with_the_digest_of_its_network(tmp_path):
    file = read_own(tmp_path, "tests.hypermodels.examples:Towers")
    hypermodel, at = (
        HyperModelSpace(file, without_constants),
        {f"{AT}kind": "wide", f"{AT}drop": False},
    )
    digests = [
        hypermodel.with_digest(file.resolve({**at, f"{AT}units": units})).model.architecture
        for units in (8, 16, 8)
    ]
    assert digests[0] == digests[2] != digests[1]
    with pytest.raises(ConfigError, match="does not ask for 'rate'") as caught:
        hypermodel.with_digest(file.resolve({**at, f"{AT}units": 8, f"{AT}rate": 0.1}))
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (20, 9)


def test_a_changed_source_of_the_model_is_named_on_resume():
    before = Provenance("e", "t", "d", "c", "", model="a" * 64)
    now = Provenance("e", "t", "d", "c", "", model="b" * 64)
    assert differences(before, now) == [f"the model's source changed: {'a' * 16} -> {'b' * 16}"]


DOCUMENTED = re.search(r"(    class MyHyperModel.*?)    ```", keras_tuner.HyperModel.__doc__, re.S)
"""The first example in the documentation of `keras_tuner.HyperModel`, as it is installed here."""


@contextlib.contextmanager
def workers_of_ray():
    with ray_resources.environment(), ray_resources.running_ray(Resources(concurrent=1)):
        yield


@pytest.fixture(
    scope="module",
    params=[without_ray, pytest.param(workers_of_ray, marks=pytest.mark.slow)],
    ids=lambda trained: trained.__name__,
)
def searched(request, tmp_path_factory):
    """A real search with KerasTuner's own example: Ray's workers find it on PYTHONPATH."""
    if request.param is workers_of_ray:
        request.getfixturevalue("no_ray_here")  # an earlier one has another PYTHONPATH
    folder = tmp_path_factory.mktemp("searched")
    text = "import keras\nimport keras_tuner as kt\n\n" + textwrap.dedent(DOCUMENTED[1])
    (folder / "documented.py").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TAUOPT_STORAGE", raising=False)
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        patch.syspath_prepend(folder)
        patch.setattr("tauopt.study.trial_queue._HYPERMODEL_DRAWS", 20)
        file = read_own(folder, "documented:MyHyperModel", trials=10)
        settled(file)
        setup = SearchSetup(
            name="own",
            output=folder / "out",
            file=file,
            dataset=prepared_dataset(folder, candidates=1000),
            origin=Provenance(file.digest, file.text, "d1", "code", ""),
            reports=1,
        )
        with request.param(), without_figures():
            yield setup, run_search(setup)


def test_the_example_of_keras_tuners_documentation_is_searched_unmodified(searched):
    setup, ending = searched
    trained = [trial for trial in ending.trials if DUPLICATE_OF not in trial.user_attrs]
    assert [trial.state.name for trial in trained] == ["COMPLETE"] * 3
    assert sorted(values_of(trial)[f"{AT}units"] for trial in trained) == [8, 16, 32]
    assert max(trial.value for trial in trained) > 0.6
    for row in rows(trained, setup.folder, goals=setup.file.base.objective.goals):
        result = json.loads((setup.folder / f"t{row.number:03d}" / "result.json").read_text())
        model = result["experiment"]["model"]
        assert model["hyperparameters"] == {"units": row.params[f"{AT}units"]}
        assert len(model["architecture"]) == 64
        assert result["parameters"] == (7 + 2) * row.params[f"{AT}units"] + 1


def test_runs_are_called_by_the_class_and_hold_the_real_values(searched):
    setup, ending = searched
    client = connect(None, output=setup.output)
    places = [place.experiment_id for place in client.search_experiments()]
    runs = {run.info.run_name: run for run in client.search_runs(places)}
    trained = [trial for trial in ending.trials if DUPLICATE_OF not in trial.user_attrs]
    assert set(runs) == {"own", *(f"t{trial.number:03d}-MyHyperModel" for trial in trained)}
    for trial in trained:
        logged = runs[f"t{trial.number:03d}-MyHyperModel"].data.params
        assert logged[f"{AT}units"] == str(values_of(trial)[f"{AT}units"])
