"""A changed setting never reuses a wrong cache: the result is that of an empty cache.

Every setting of a dataset file, one after the other, is changed and prepared with a cache that
holds all that came before; the outcome is that of an empty cache, and another than before.
"""

import copy
from types import UnionType
from typing import Union, get_args, get_origin

import awkward as ak
import numpy as np
import pytest

from tauopt.config.settings.base import Settings
from tauopt.config.settings.dataset import Dataset
from tauopt.dataset.prepared_dataset import open_dataset
from tauopt.errors import TauoptError
from tauopt.prepare.prepare_dataset import prepare
from tests.ntuples_factory import columns, write_trees
from tests.prepare.test_extracts import content

TAKEN_FROM_ELSEWHERE = {"simulate", "name", "layout"}
"""What gives other files, or another name to the same; events are in `test_events`."""
TRACKS = "groups.tracks"
CHANGES = {
    "samples": {"other": {"files": ["{0}/0.root"], "classes": ["jet", "tau"]}},
    "samples.all.files": ["{0}/0.root"],
    "samples.all.tree": "second",
    "samples.all.friends": ["second"],
    "samples.all.weight": "weight * pt",
    "samples.all.classes": ["jet", "tau", "e"],
    "classes": {"tau": "is_tau", "jet": "!is_tau && eta < 2", "e": "!is_tau && eta >= 2"},
    "selection": "pt > 21000",
    "cuts": {"low": "pt > 21000"},
    "event_number": "event_number + 1",
    "split": {"folds": 5},
    "split.train": "event_number % 10 < 5",
    "split.validation": "event_number % 10 == 6",
    "split.test": "event_number % 10 >= 9",
    "split.folds": 4,
    "split.fold": 1,
    "candidate": {"phi": {}, "log_pt": {"expression": "pt", "log10": True}},
    "candidate.log_pt.expression": "2 * pt",
    "candidate.log_pt.divide": 10.0,
    "candidate.log_pt.abs": True,
    "candidate.log_pt.min": 22.0,
    "candidate.log_pt.max": 30.0,
    "candidate.log_pt.offset": -21.0,
    "candidate.log_pt.log10": False,
    "candidate.log_pt.scale": "robust",
    "candidate.log_pt.clip_quantiles": [0.1, 0.9],
    "groups": {},
    f"{TRACKS}.features": {"d0": {"expression": "track_d0"}},
    f"{TRACKS}.features.pt.expression": "2 * track_pt",
    f"{TRACKS}.features.pt.divide": 10.0,
    f"{TRACKS}.features.pt.abs": True,
    f"{TRACKS}.features.pt.min": 2.0,
    f"{TRACKS}.features.pt.max": 3.0,
    f"{TRACKS}.features.pt.offset": -1.1,
    f"{TRACKS}.features.pt.log10": False,
    f"{TRACKS}.features.pt.scale": "standard",
    f"{TRACKS}.features.pt.clip_quantiles": [0.1, 0.9],
    f"{TRACKS}.select": "track_pt > 1500",
    f"{TRACKS}.order_by": "-track_d0",
    "spectators": {"pt": "pt", "eta": "eta"},
    "reweight": None,
    "reweight.variables": {"pt": {"bins": 3}},
    "reweight.variables.pt.expression": "-pt",
    "reweight.variables.pt.bins": 4,
    "reweight.variables.pt.edges": [3e4, 5e4],
    "reweight.variable": "eta",
    "reweight.bins": 4,
    "reweight.to": ["jet"],
    "reweight.target": "mean",
    "reweight.max_ratio": 1.001,
    "proportions": {"jet": 0.6},
    "resample": {"replacement": True},
    "resample.replacement": False,
    "resample.candidates": 100,
    "negative_weights": "absolute",
    "missing": "impute",
    "bad_files": 0,
    "stream": "direct",
    "chunk_size": 50,
}
"""Setting -> another value than that of `base`."""
ALSO = {
    "samples": {"samples.all": None},
    "samples.all.classes": {
        "classes.e": "!is_tau && eta >= 2",
        "classes.jet": "!is_tau && eta < 2",
    },
    "classes": {"samples.all.classes": ["jet", "tau", "e"]},
    "split.fold": {"split.folds": 4},
    "reweight.variable": {"reweight.variables": {}},
    "reweight.bins": {"reweight.variables": {}, "reweight.variable": "pt"},
    "reweight.to": {"reweight.target": "classes"},
    "resample.replacement": {"resample.candidates": 90},
    "resample.candidates": {"resample.replacement": True},
    "groups": {"samples.all.weight": "1"},
}
"""What must change too, for the setting to be allowed or to matter."""


def base(folder):
    """Return settings in which every setting matters."""
    return {
        "name": "toy",
        "samples": {
            "all": {"files": [f"{folder}/*.root"], "weight": "weight", "classes": ["jet", "tau"]}
        },
        "classes": {"jet": "!is_tau", "tau": "is_tau"},
        "split": {
            "train": "event_number % 10 < 6",
            "validation": "event_number % 10 == 6 || event_number % 10 == 7",
            "test": "event_number % 10 >= 8",
        },
        "candidate": {"log_pt": {"expression": "pt", "divide": 1000, "log10": True}, "phi": {}},
        "groups": {"tracks": {"features": {
            "pt": {"expression": "track_pt", "divide": 1000, "log10": True},
            "d0": {"expression": "track_d0"},
        }}},
        "spectators": {"pt": "pt"},
        "reweight": {"variables": {"pt": {"bins": 3}, "eta": {"bins": 2}}, "target": "flat"},
        "missing": "drop",
        "bad_files": 1,
        "chunk_size": 70,
    }  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two files with a friend, missing features and negative weights, and one that is damaged."""
    folder = tmp_path_factory.mktemp("settings")
    for i in range(2):
        content = columns(200, seed=i, first_event=200 * i)
        content["phi"] = np.where(content["event_number"] % 17, content["eta"], np.nan)
        content["weight"][::9] *= -0.1
        content["track_d0"] = ak.where(content["track_pt"] > 2e4, np.nan, content["track_d0"])
        second = columns(200, seed=5 + i, first_event=200 * i)
        write_trees(folder / f"{i}.root", candidates=content, second=second)
    whole = (folder / "0.root").read_bytes()
    (folder / "bad.root").write_bytes(whole[: len(whole) // 2])
    return folder


def changed(folder, changes):
    """Return the settings of `base` with some leaves replaced, or taken out where None."""
    settings = copy.deepcopy(base(folder))
    for path, value in changes.items():
        *parents, name = path.split(".")
        inner = settings
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[name] = value
        if value is None:
            del inner[name]
    return Dataset.model_validate(settings)


def outcome(dataset, cache):
    """Return everything that comes of a preparation, be it an error."""
    try:
        folder = prepare(dataset, cache=cache)
    except TauoptError as error:
        return type(error).__name__, str(error)
    return folder.name, content(folder), (folder / "manifest.json").read_text()


@pytest.fixture(scope="module")
def warm(folder, tmp_path_factory):
    """A cache in which `base` was prepared, and then one change after the other."""
    cache = tmp_path_factory.mktemp("warm")
    open_dataset(prepare(changed(folder, {}), cache=cache))
    return cache


def with_folder(value, folder):
    """Put the folder where a value has `{0}`."""
    if isinstance(value, str):
        return value.replace("{0}", str(folder))
    if isinstance(value, list):
        return [with_folder(one, folder) for one in value]
    if isinstance(value, dict):
        return {name: with_folder(one, folder) for name, one in value.items()}
    return value


@pytest.mark.parametrize("setting", CHANGES)
def test_a_changed_setting_gives_what_it_gives_without_a_cache(folder, warm, tmp_path, setting):
    dataset = changed(
        folder, ALSO.get(setting, {}) | {setting: with_folder(CHANGES[setting], folder)}
    )
    cold = outcome(dataset, tmp_path)
    assert outcome(dataset, warm) == cold
    assert cold != outcome(changed(folder, {}), warm)


def settings_of(model, path=""):
    """Yield the path of every setting of a model, with `*` for names."""
    for name, field in model.model_fields.items():
        yield path + name
        for inner, middle in models_in(field.annotation):
            yield from settings_of(inner, f"{path}{name}.{middle}")


def models_in(kind):
    """Yield the models that a setting may hold, and what stands between its path and theirs."""
    if isinstance(kind, type) and issubclass(kind, Settings):
        yield kind, ""
    elif get_origin(kind) is dict:
        yield from ((inner, f"*.{middle}") for inner, middle in models_in(get_args(kind)[1]))
    elif get_origin(kind) in (UnionType, Union):
        yield from (found for one in get_args(kind) for found in models_in(one))


def test_every_setting_is_changed():
    generic = {
        setting.replace("all.", "*.")
        .replace(".log_pt", ".*")
        .replace("groups.tracks", "groups.*")
        .replace("features.pt", "features.*")
        .replace("variables.pt", "variables.*")
        for setting in CHANGES
    }
    every = {
        setting
        for setting in settings_of(Dataset)
        if setting.split(".")[0] not in TAKEN_FROM_ELSEWHERE
    }
    assert generic == every
