"""The user's own model is refused before the first trial, at its place, if it can't be used."""

import pytest

from tauopt.errors import ConfigError, is_users_own
from tauopt.study.hypermodel_check import settled
from tests.hypermodels import bad
from tests.hypermodels.experiments import read_own

BAD = {
    "nothing": "returned None; expected a keras.Model",
    "other_names": r"asks for the hyperparameter 'units_0\.\d+', which it did not ask for before",
    "other_bounds": "declares its hyperparameters in another way each time",
    "other_network": "returned another network than before with the same values",
    "ten_classes": r"gives \(None, 10\); expected \(None, 2\) or \(None, 1\), .*: jet, tau",
    "images": r"input has shape \(None, 28, 28, 1\), the data give \(None, 7\)",
    "convolution": r"can't take all features laid flat, \(None, 7\): ",
    "two_inputs": "takes one, other; expected one input .* or some of candidate",
    "operations": "uses 'Add' of module 'keras.src.ops.numpy'.*layers in place of operations",
    "logits": "no probabilities: .* end it in softmax",
    "compiled_for_logits": "from_logits=True",
    "without_loss": "compiled with loss=None; expected one loss",
    "a_lambda": "is a Lambda of keras.*, neither Keras's nor tauopt's",
    "own_layer": "layer 'doubled' is a Doubled of tests.hypermodels.bad, neither",
    "own_activation": "uses 'function' of module 'builtins'.* functions of your own",
    "own_class": "returned a OwnNetwork, a class of its own",
    "Fitting": "overrides `fit`, which tauopt does not call",
    "Needy": "can't be made without depth: give them under `arguments`",
    "NUMBER": "is 3; expected a subclass of keras_tuner.HyperModel, or a function of hp",
    "fewr": r"module 'tests.hypermodels.bad' has no 'fewr' \(did you mean 'fewer'\?\)",
}


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_model_is_refused_at_its_place(tmp_path, name):
    file = read_own(tmp_path, f"tests.hypermodels.bad:{name}")
    with pytest.raises(ConfigError, match=BAD[name]) as caught:
        settled(file)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column) == (str(file.path), 20, 9)
    assert problem.message.startswith("model.type: ")


def test_a_hyperparameter_that_only_some_builds_declare_is_refused(tmp_path, monkeypatch):
    file = read_own(tmp_path, "tests.hypermodels.bad:fewer")
    assert settled(file).model.hyperparameters == {"sometimes": 1}
    draws = iter([0.0, 1.0])
    monkeypatch.setattr(bad.random, "random", lambda: next(draws))
    monkeypatch.setattr(bad, "SOMETIMES", 0.5)
    with pytest.raises(ConfigError, match="does not ask for 'sometimes', which it asked for"):
        settled(file)


def test_an_error_of_the_users_code_comes_through_with_its_place_beside_it(tmp_path):
    file = read_own(tmp_path, "tests.hypermodels.bad:raising")
    with pytest.raises(ZeroDivisionError, match="units are 1") as caught:
        settled(file)
    assert is_users_own(caught.value)
    assert f"{file.path}:20:9: model.type: " in caught.value.__notes__[0]


def test_a_missing_module_is_a_config_error_and_one_that_it_imports_is_not(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"no module 'nowhere': .*PYTHONPATH"):
        settled(read_own(tmp_path, "nowhere.at.all:Model"))
    (tmp_path / "needs_nowhere.py").write_text("import nowhere")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError) as caught:
        settled(read_own(tmp_path, "needs_nowhere:Model"))
    assert is_users_own(caught.value)


WRONG = [
    ("hyperparameters: {unitz: 8}", (21, 28), r"no such hyperparameter \(did you mean 'units'"),
    ("hyperparameters: {units: 9}", (21, 28), r"declares int \[8, 32\] step 8, got 9"),
    ("hyperparameters: {units: {int: [8, 40]}}", (21, 28), r"int \[8, 32\] step 8, got 40"),
    ("hyperparameters: {units: {float: [8, 32]}}", (21, 28), r"got float \[8.0, 32.0\]"),
    ("hyperparameters: {units: {int: [8, 32], step: 12}}", (21, 28), "steps of 8, got 12"),
    ("hyperparameters: {kind: {choice: [wide, long]}}", (21, 27), "deep.*got 'long'"),
    ("hyperparameters: {kind: deep, layer_0/units: 3}", (21, 48), "one of 2, 4, 8, 16, got 3"),
    ("hyperparameters: {layer_2/units: 3}", (21, 36), "one of 2, 4, 8, 16, got 3"),
    ("arguments: {largets: 3}", (21, 24), r"takes no 'largets' \(did you mean 'largest'"),
]


@pytest.mark.parametrize(("line", "place", "message"), WRONG, ids=[line for line, _, _ in WRONG])
def test_a_setting_that_does_not_fit_the_model_is_refused_at_its_place(
    tmp_path, line, place, message
):
    file = read_own(tmp_path, "tests.hypermodels.examples:Towers", model=f"  {line}\n")
    with pytest.raises(ConfigError, match=message) as caught:
        settled(file)
    assert [(p.line, p.column) for p in caught.value.problems] == [place]


def test_a_hyperparameter_of_another_branch_may_be_fixed(tmp_path):
    settings = "  hyperparameters: {layer_2/units: 8, rate: {float: [0.2, 0.3]}}\n"
    file = read_own(tmp_path, "tests.hypermodels.examples:Towers", model=settings)
    assert "layer_2/units" not in settled(file).model.hyperparameters


def test_optimizer_settings_for_a_compiled_model_are_refused(tmp_path):
    training = "  batch_size: 64\n  learning_rate: {float: [1e-3, 1e-2]}\n  loss: focal\n"
    file = read_own(tmp_path, "tests.hypermodels.examples:Knobs", training=training)
    with pytest.raises(ConfigError, match="keeps its own optimizer and loss") as caught:
        settled(file)
    paths = [problem.message.partition(":")[0] for problem in caught.value.problems]
    assert paths == ["training.learning_rate", "training.loss"]
    assert (
        settled(
            read_own(tmp_path, "tests.hypermodels.examples:Towers", training=training)
        ).model.hyperparameters["kind"]
        == "wide"
    )
