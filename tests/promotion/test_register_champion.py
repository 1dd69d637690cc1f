"""Promotion on a real MLflow store with real, tiny networks; one file, since imports are slow."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from tauopt.cli import app
from tauopt.config.settings.gate import Gate
from tauopt.errors import ConfigError, PromotionRefused, UsageError
from tauopt.evaluation import model_working_points
from tauopt.evaluation.predict import READING
from tauopt.progress import Silent
from tauopt.promotion import register_champion
from tauopt.promotion.verdict import RefusedByVerdict, Verdict
from tauopt.tracking.registry import CHAMPION, VERDICT, champion, versions
from tauopt.tracking.replay import MODEL_PATH, MODEL_SHA256
from tauopt.workflows.promote import promote
from tests.evaluation.trials import DECAY_MODES, MODES, changed, experiment, shipped, train
from tests.undrawn import rendered

WRITE_FIGURES = register_champion.write_figures


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Draw figures in two tests only: they take half the time of a promotion."""

    def leave_out(predictions, folder, **_):
        folder.mkdir(exist_ok=True)
        return []

    monkeypatch.setattr(register_champion, "write_figures", leave_out)
    monkeypatch.setattr(model_working_points, "closure_figure", lambda *_, **__: None)


@pytest.fixture(scope="module")
def good(tmp_path_factory, dataset):
    return train(tmp_path_factory.mktemp("good") / "t000", dataset, experiment())


@pytest.fixture(scope="module")
def bad(tmp_path_factory, dataset):
    settings = experiment(epochs=1, learning_rate=1e-9)
    return train(tmp_path_factory.mktemp("bad") / "t001", dataset, settings)


@pytest.fixture
def name(request):
    """A registered model of its own for each test."""
    return "m" + str(abs(hash(request.node.name)))


@pytest.fixture(scope="module")
def bring(client, output, tmp_path_factory):
    """Send a trial to MLflow under the name of a registered model."""

    def brought(folder, name, *, state="COMPLETE", model=None, **result):
        settings = json.loads((folder / "result.json").read_text())["experiment"]
        settings["tracking"]["model"] = name
        to = tmp_path_factory.mktemp("trials") / "t000"
        changed(folder, to, model=model, **{"experiment": settings, **result})
        run_id = shipped(client, output, to, state=state)
        shutil.rmtree(to)  # promotion has MLflow alone
        return run_id

    return brought


@pytest.fixture
def run(bring, name):
    """Send a trial to MLflow under the name of this test's registered model."""
    return lambda folder, **more: bring(folder, name, **more)


@pytest.fixture(scope="module")
def crowned(bring, good, output):
    """A first champion: run id and verdict."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        run_id = bring(good, "tau-id")
        with rendered():  # a fixture of the module, and so before `undrawn`
            return run_id, promote(run_id[:12], output=output)


def run_command(capfd, monkeypatch, *arguments):
    """Run the command line in this process; return its exit code, stdout and stderr."""
    monkeypatch.setattr(sys, "argv", ["tauopt", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        app.main()
    return ended.value.code or 0, *capfd.readouterr()


def test_a_trial_becomes_the_first_champion_with_card_figures_and_metrics(client, crowned, good):
    run_id, verdict = crowned
    assert (verdict.outcome, verdict.promoted, verdict.version) == ("first", True, "1")
    version = champion(client, "tau-id")
    result = json.loads((good / "result.json").read_text())
    assert version.tags[MODEL_SHA256] == result["model_sha256"]
    assert json.loads(version.tags[VERDICT]) == verdict.as_json()
    assert json.loads(version.tags[READING])["task"]["signal"] == ["tau"]
    for part in ("## Data", "## Numbers on the test split", "rejection@0.6", "## Limits", "±",
                 verdict.latency_sentence, verdict.splits_sentence):  # fmt: skip
        assert part
        assert part in version.description
    assert re.match(
        r"rejection@0\.6: 1\.\d+ .* on validation, 1\.\d+ .* on test, ", verdict.splits_sentence
    )
    alone, in_a_batch = (verdict.latencies[name][0] for name in ("latency_us", "latency_us@256"))
    assert 0 < in_a_batch < alone
    files = {file.path for file in client.list_artifacts(run_id, "promotion")}
    assert {"promotion/roc.png", "promotion/roc.json", "promotion/verdict.json"} <= files
    assert client.get_run(run_id).data.metrics["test_auc"] == verdict.test["auc"][0]


def test_the_champion_runs_in_mlflow_without_anything_else(client, crowned):
    import mlflow

    model = mlflow.pyfunc.load_model(champion(client, "tau-id").source)
    assert {column.name for column in model.metadata.signature.inputs} == {"candidate"}
    example = model.input_example
    probabilities = model.predict({key: np.asarray(value) for key, value in example.items()})
    assert probabilities.shape == (5, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


def test_promoting_the_champion_again_changes_nothing(client, output, crowned):
    run_id, first = crowned
    again = promote(run_id, output=output)
    assert again.outcome == "champion already"
    assert "became version 1 with the verdict first" in again.reason
    assert replace(again, outcome=first.outcome, reason=first.reason) == first
    assert len(versions(client, "tau-id")) == 1
    assert len(client.get_metric_history(run_id, "test_auc")) == 1


def test_a_promotion_that_was_killed_is_completed_by_the_next(
    client, output, run, good, name, monkeypatch
):
    run_id = run(good)
    for module, step in (
        (register_champion, "_register"),
        (register_champion.registry, "move_alias"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, step, lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                promote(run_id, output=output)
        assert champion(client, name) is None
    assert promote(run_id, output=output).version == "1"
    assert len(versions(client, name)) == 1
    assert len(client.get_metric_history(run_id, "test_auc")) == 1


def test_a_clearly_worse_trial_is_refused_until_forced_and_both_are_recorded(
    client, output, run, good, bad, name, capfd, monkeypatch
):
    promote(run(good), output=output)
    worse = run(bad)
    code, out, err = run_command(capfd, monkeypatch, "promote", worse, "-o", output)
    assert code == 6
    assert "clearly worse" in err
    assert "--force" in err
    assert "champion (version 1)" in out
    assert str(champion(client, name).version) == "1"
    assert "promotion/verdict.json" in [f.path for f in client.list_artifacts(worse, "promotion")]
    code, out, _ = run_command(
        capfd, monkeypatch, "promote", worse, "--force", "--json", "-o", output
    )
    assert code == 0
    verdict = json.loads(out)
    assert (verdict["outcome"], verdict["forced"], verdict["promoted"]) == ("worse", True, True)
    assert verdict["difference"]["p_worse"] < 0.05
    version = champion(client, name)
    assert (str(version.version), version.tags["tauopt.forced"]) == ("2", "true")
    assert "Promoted by force" in version.description


def test_a_better_trial_becomes_the_champion_and_the_verdict_names_the_earlier_one(
    client, output, run, good, bad, name
):
    promote(run(bad), output=output)
    better = promote(run(good), output=output)
    assert (better.outcome, better.champion["version"]) == ("better", "1")
    assert str(champion(client, name).version) == "2"
    assert better.difference["value"] > 0


def gate(tmp_path, text):
    path = tmp_path / "promote.yaml"
    path.write_text(text)
    return path


BINNED = "{regressions: {rejection@0.6: 0.05}}"
STRICT = f"""
floors: {{auc: 0.3}}
regressions: {{rejection@0.6: 0.02, auc/1p: 0.01}}
bins: {{pt: {BINNED}, prongs: {BINNED}, mu: {BINNED}, eta: {BINNED}}}
limits: {{latency_us@64: 10000, parameters: 5000}}
same_data: digest
dataset: toy
"""


def test_a_worse_model_is_refused_by_the_gate_in_words_and_numbers_and_the_alias_stays(
    client, output, run, good, bad, name, capfd, monkeypatch, tmp_path
):
    promote(run(good), output=output)
    asked = gate(tmp_path, "regressions: {rejection@0.6: 0.99, auc: 0.01}\nfloors: {auc/1p: 0.4}")
    worse = run(bad)
    code, out, err = run_command(
        capfd, monkeypatch, "promote", worse, "--gate", asked, "-o", output
    )
    assert code == 6
    assert "refused by the gate" in out
    assert re.search(r"auc: 0\.\d+.*champion 0\.4.*p < 0\.\d+; asked: at most 1 % lost", err)
    assert re.search(r"floor of auc/1p: 0\.\d+.*; asked: lower end at least 0\.4", err)
    assert str(champion(client, name).version) == "1"
    path = client.download_artifacts(worse, "promotion/verdict.json", str(tmp_path))
    verdict = Verdict.from_json(json.loads(Path(path).read_text()))
    passed = {check.name: check.passed for check in verdict.checks}
    assert passed == {"rejection@0.6": True, "auc": False, "floor of auc/1p": False}
    assert verdict.gate["floors"] == {"auc/1p": 0.4}
    by_force = promote(worse, gate=asked, force=True, output=output)
    assert (by_force.outcome, by_force.forced) == ("refused by the gate", True)
    card = champion(client, name).description
    assert re.search(r"\| floor of auc/1p \| 0\.\d+ .* \| NO \|", card)


def test_a_better_model_passes_the_strictest_gate(client, output, run, good, bad, name, tmp_path):
    promote(run(bad), output=output)
    better = promote(run(good), gate=gate(tmp_path, STRICT), output=output)
    assert (better.outcome, better.forced) == ("better", False)
    assert all(check.passed for check in better.checks)
    names = [check.name for check in better.checks]
    assert names[:3] == ["dataset", "the champion's dataset", "rejection@0.6"]
    assert {"floor of auc", "auc/1p", "limit of latency_us@64", "limit of parameters"} <= {*names}
    assert {"rejection@0.6 in prongs 1", "rejection@0.6 in prongs 3"} <= {*names}
    assert sum("in pt" in name for name in names) >= 3
    assert json.loads(champion(client, name).tags[VERDICT])["checks"][0]["name"] == "dataset"


def test_the_gate_of_the_experiment_holds_where_none_is_given(output, run, good, name, tmp_path):
    settings = json.loads((good / "result.json").read_text())["experiment"]
    settings["promote"] = {"limits": {"parameters": 10}}
    settings["tracking"]["model"] = name
    with pytest.raises(PromotionRefused, match=r"limit of parameters: \d+; asked: at most 10"):
        promote(run(good, experiment=settings), output=output)
    assert promote(run(good), gate=gate(tmp_path, "{}"), output=output).promoted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("floors: {auk: 1}", r"promote\.yaml:1:10: floors\.auk: unknown metric 'auk'"),
        ("bins: {mo: {regressions: {auc: 0}}}", r"1:8: bins: unknown spectator 'mo'"),
        ("promote: {floor: {}}", r"1:11: unknown key 'promote\.floor' \(did you mean 'floors'"),
    ],
)  # fmt: skip
def test_a_wrong_gate_is_refused_at_its_place(output, run, good, tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        promote(run(good), gate=gate(tmp_path, text), output=output)


def test_a_trial_of_another_task_is_compared_on_what_both_judge(
    client, output, run, good, dataset, name, tmp_path
):
    promote(run(good), output=output)
    modes = train(tmp_path / "t100", dataset, experiment(task=MODES))
    assert promote(run(modes), output=output, force=True).outcome in (
        "better", "not worse", "worse",
    )  # fmt: skip


def test_a_decay_mode_trial_is_promoted_and_compared_without_background(
    client, output, run, good, dataset, name, tmp_path, monkeypatch
):
    monkeypatch.setattr(register_champion, "write_figures", WRITE_FIGURES)
    objective = "balanced_accuracy"
    settings = experiment(task=DECAY_MODES, objective=objective, learning_rate=0.02)
    modes = train(tmp_path / "t100", dataset, settings)
    run_id = run(modes)
    verdict = promote(run_id, output=output)
    assert verdict.outcome == "first"
    assert set(verdict.test) >= {"accuracy", "balanced_accuracy", "accuracy/1p"}
    assert verdict.candidates["background"] == 0
    files = {file.path for file in client.list_artifacts(run_id, "promotion")}
    assert "promotion/confusion.png" in files
    assert "promotion/roc.png" not in files
    assert "Background: none." in champion(client, name).description
    other = train(tmp_path / "t101", dataset, experiment(
        task=DECAY_MODES, objective=objective, learning_rate=0.02, class_balance="none",
    ))  # fmt: skip
    second = promote(run(other), output=output, force=True)
    assert second.difference["low"] <= second.difference["value"] <= second.difference["high"]
    with pytest.raises(PromotionRefused, match="needs signal and background"):
        promote(run(good), output=output)


def test_a_champion_that_can_not_be_judged_is_replaced_only_by_force(
    client, output, run, good, bad, name
):
    promote(run(good), output=output)
    client.set_model_version_tag(name, "1", READING, "{}")
    other = run(bad)
    with pytest.raises(PromotionRefused, match="can't be compared with the champion, version 1"):
        promote(other, output=output)
    assert promote(other, output=output, force=True).outcome == "not comparable"


def test_another_champion_in_the_meantime_is_compared_with_too(
    client, output, run, good, bad, name, monkeypatch
):
    promote(run(bad), output=output)
    first, crowned = run(good), []
    register = register_champion._register

    def overtaken(*arguments):
        verdict = register(*arguments)
        if not crowned:
            crowned.append(client.delete_registered_model_alias(name, CHAMPION))
        return verdict

    monkeypatch.setattr(register_champion, "_register", overtaken)
    assert promote(first, output=output).outcome == "first"
    assert str(champion(client, name).version) == "2"


ANY_VERDICT = Verdict(
    run_id="r", run_name="t000", model="tau-id", version="", model_sha256="0", dataset="d",
    dataset_digest="0", objective="auc", validation={}, candidates={}, test={}, outcome="first",
    reason="", promoted=True,
)  # fmt: skip


def test_a_trial_refused_in_a_second_comparison_has_a_version_with_that_verdict(monkeypatch):
    """Two promotions at once: the trial of the other one becomes the champion first."""
    verdicts = iter([ANY_VERDICT, replace(ANY_VERDICT, promoted=False, outcome="worse")])
    met, described = iter(["", "2"]), []

    def move_alias(*args, expected):
        return expected != ""

    comparisons = (SimpleNamespace(version=version) for version in met)
    for name, stand_in in {
        "derive_with_closure": lambda *args, **kwargs: SimpleNamespace(reason=""),
        "compare_with_champion": lambda *args, **kwargs: next(comparisons),
        "decide": lambda *args, **kwargs: next(verdicts),
        "_record": lambda *args, **kwargs: None,
        "_register": lambda client, judged, verdict, points: replace(verdict, version="1"),
        "_describe": lambda client, judged, verdict, points: described.append(verdict),
    }.items():
        monkeypatch.setattr(register_champion, name, stand_in)
    monkeypatch.setattr(register_champion.registry, "move_alias", move_alias)
    judged = MagicMock()
    judged.trial.objective = "auc"
    with pytest.raises(RefusedByVerdict):
        register_champion._contest(
            None, judged, Gate(), folder=Path(), rng=np.random.default_rng(1), force=False,
            progress=Silent(),
        )  # fmt: skip
    assert [(v.version, v.promoted) for v in described] == [("1", False)]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("RUNNING", "still runs"),
        ("PRUNED", "tauopt continue"),
        ("FAIL", "loss became nan"),
        ("KILLED", "interrupted"),
        ("STOPPED", "interrupted"),
    ],
)
def test_a_trial_that_did_not_complete_is_refused(
    output, run, good, capfd, monkeypatch, state, reason
):
    code, out, err = run_command(
        capfd, monkeypatch, "promote", run(good, state=state), "-o", output
    )
    assert (code, out) == (6, "")
    assert reason in err


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"value": 1e4}, "recorded 10000"),
        ({"value": None}, "result.json is not whole"),
        ({"value": float("nan")}, "recorded nan"),
        ({"experiment": {"name": "x"}}, "result.json is not whole"),
        ({"model_sha256": "0" * 64}, "is about a model with sha256 0000"),
        ({"dataset_digest": "0" * 64}, "can't be prepared again"),
        ({"dataset_folder": "/nowhere/toy-0"}, "is gone from /nowhere/toy-0"),
    ],
)
def test_a_result_that_does_not_hold_is_refused_even_by_force(
    output, run, good, capfd, monkeypatch, result, reason
):
    run_id = run(good, **result)
    code, _, err = run_command(capfd, monkeypatch, "promote", run_id, "--force", "-o", output)
    assert code == 6, err
    assert reason in err


def test_an_altered_model_is_refused(client, output, run, good, capfd, monkeypatch):
    run_id = run(good)
    mlflow_run = client.get_run(run_id)
    place = output / "mlartifacts" / "tau-id" / run_id / "artifacts"
    with (place / mlflow_run.data.tags[MODEL_PATH]).open("ab") as file:
        file.write(b"x")
    code, _, err = run_command(capfd, monkeypatch, "promote", run_id, "-o", output)
    assert code == 6
    assert "altered" in err


def test_a_model_that_holds_code_is_refused(output, run, good, tmp_path):
    import keras

    inputs = keras.Input((3,))
    hostile = keras.Model(inputs, keras.layers.Lambda(lambda x: x)(inputs))
    hostile.save(tmp_path / "hostile.keras")
    model = (tmp_path / "hostile.keras").read_bytes()
    recorded = hashlib.sha256(model).hexdigest()
    with pytest.raises(PromotionRefused, match="Lambda"):
        promote(run(good, model=model, model_sha256=recorded), output=output)


def test_a_run_without_a_model_is_refused(client, output, run, good):
    run_id = run(good)
    client.delete_tag(run_id, MODEL_SHA256)
    with pytest.raises(PromotionRefused, match="has no model"):
        promote(run_id, output=output)


def test_a_run_of_somebody_else_is_refused(client, output):
    run_id = client.create_run("0").info.run_id
    with pytest.raises(PromotionRefused, match="none of tauopt's"):
        promote(run_id, output=output)


def test_a_dataset_that_has_moved_to_this_users_cache_is_found(
    output, run, good, dataset, tmp_path
):
    shutil.copytree(dataset, tmp_path / "cache" / "prepared" / dataset.name)
    run_id = run(good, dataset_folder=f"/elsewhere/prepared/{dataset.name}")
    assert promote(run_id, output=output).promoted


@pytest.mark.parametrize("run_id", ["ffff", "../x", ""])
def test_unknown_run_ids_are_usage_errors(output, capfd, monkeypatch, run_id):
    code, _, err = run_command(capfd, monkeypatch, "promote", run_id, "-o", output)
    assert code == 2
    assert "run id" in err


def test_an_ambiguous_run_id_names_the_runs(client, output):
    ids = [client.create_run("0", run_name="t007").info.run_id for _ in range(17)]
    prefix = max({i[0] for i in ids}, key=lambda first: sum(i[0] == first for i in ids))
    with pytest.raises(UsageError, match=r"ambiguous.*t007"):
        promote(prefix, output=output)


def test_what_can_not_be_promoted_is_refused_without_tensorflow():
    code = (
        "import sys, tauopt.evaluation.recorded_trial, tauopt.promotion.verdict;"
        "print(sorted({'tensorflow', 'keras'} & {*sys.modules}))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "[]"
