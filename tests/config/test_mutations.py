"""Whatever is done to a good file, it is read or refused with places, never a crash."""

import copy
import random
from pathlib import Path

import pytest
import yaml

from tauopt.config.load import read_experiment
from tauopt.config.source.compose import read_tree
from tauopt.config.source.yaml_source import read_yaml
from tauopt.errors import ConfigError

DATA = Path(__file__).parents[1] / "data"
VALUES = [
    None, True, 0, -1, 3, 0.5, 1e400, "x", "", "a b", "1p0n", [], [1], ["x", "x"], {}, {"x": 1},
    {"int": [1, 2]}, {"float": [0, 1]}, {"choice": ["x"]}, {"choice": []}, {"int": 3},
    {"choice": [True, 1], "when": {"training.epochs": [1]}}, {"type": "dense"}, {"type": None},
    {"any": {"rnn": {}, "dense": {}}}, {"choice": [0.0, 0.1], "when": {"model.type": "rnn"}},
    {"float": [0.1, 0.2], "when": {"model.cell": "gru"}, "step": "x"}, {"extends": "x"},
]  # fmt: skip
KEYS = [
    "x",
    "type",
    "any",
    "rnn",
    "int",
    "choice",
    "extends",
    "model",
    "groups",
    "classes",
    "when",
    "a.b",
    "tau",
]


def places(tree):
    """Give every (container, key) below a tree."""
    if isinstance(tree, (dict, list)):
        items = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, part in list(items):
            yield tree, key
            yield from places(part)


def listed(value):
    if isinstance(value, dict):
        return {key: listed(part) for key, part in value.items()}
    return [listed(part) for part in value] if isinstance(value, tuple) else value


def mutated(tree, rng):
    tree = copy.deepcopy(tree)
    for _ in range(rng.randint(1, 3)):
        container, key = rng.choice(list(places(tree)))
        action = rng.random()
        if action < 0.2 and isinstance(container, dict):
            del container[key]
        elif action < 0.4 and isinstance(container, dict):
            container[rng.choice(KEYS)] = container.pop(key)
        else:
            container[key] = copy.deepcopy(rng.choice(VALUES))
    return tree


def outcome_of(path):
    try:
        return read_experiment(path)
    except ConfigError as error:
        return error


@pytest.mark.parametrize("name", ["good_experiment", "good_any"])
@pytest.mark.parametrize("seed", range(4))
def test_a_mutated_file_is_read_or_refused(name, seed, tmp_path):
    rng = random.Random(seed)
    tree = listed(read_tree(DATA / f"{name}.yaml")[0].plain())
    tree["data"] = listed(read_yaml(DATA / "good_dataset.yaml")[0].plain())
    path = tmp_path / "x.yaml"
    for _ in range(25):
        path.write_text(yaml.safe_dump(mutated(tree, rng)))
        outcome = outcome_of(path)
        if isinstance(outcome, ConfigError):
            assert all(problem.file and problem.line for problem in outcome.problems)
        else:
            assert outcome.resolve(outcome.defaults()) == outcome.base
