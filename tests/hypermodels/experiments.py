"""Experiment files with a HyperModel, over the prepared factory's features."""

from tauopt.config.load import read_experiment
from tests.search.searches import EXPERIMENT

_OURS = EXPERIMENT[EXPERIMENT.index("model:") : EXPERIMENT.index("objective:")]


def write_own(folder, type_, *, model="", training="", task="", trials=3):
    """Write an experiment whose model is `type_`; `model` and `training` are YAML lines of them.

    The type stands in line 21, column 9.
    """
    settings = f"model:\n  type: {type_}\n{model}training:\n  epochs: 1\n{training}"
    text = EXPERIMENT.replace(_OURS, settings.replace("{", "{{").replace("}", "}}"))
    path = folder / "own.yaml"
    path.write_text(text.format(trials=trials, pruner="none", concurrent=1).lstrip("\n"))
    if task:
        path.write_text(path.read_text() + task)
    return path


def read_own(folder, type_, **settings):
    return read_experiment(write_own(folder, type_, **settings))
