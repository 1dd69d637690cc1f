"""The digests that name a prepared dataset and the extract of one file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tauopt import durable
from tauopt.config.settings.dataset import Dataset
from tauopt.config.settings.inputs import Feature
from tauopt.dataset.manifest import VERSION
from tauopt.prepare.input_files import InputFile
from tauopt.prepare.missing import may_lack_logarithm

ALGORITHM = 2
"""Version of the algorithm; increase it when the same settings and files give other chunks."""
EXTRACTION = 2
"""Version of the first pass; increase it when the same settings and file give another extract."""


def dataset_digest(dataset: Dataset, files: Sequence[InputFile]) -> str:
    """Return the SHA-256 of all that decides what a prepared dataset holds.

    The digest depends on the versions of format and algorithm, the settings, and the content of the
    files; not on the number of bad files that are tolerated, nor on the files' names unless they
    are streamed directly. It depends on the order of features and classes, but not on the order of
    samples and files.
    """
    samples = sorted(
        [*_sample(dataset, name), sorted(file.sha256 for file in files if file.sample == name)]
        for name in dataset.samples
    )
    keys = {"name", "selection", "event_number", "split", "missing", "stream"}
    keys |= {"cuts", "chunk_size", "proportions", "negative_weights"}
    resample = dataset.resample
    return durable.sha256_json(
        {
            "version": VERSION,
            "algorithm": ALGORITHM,
            "settings": dataset.model_dump(mode="json", include=keys),
            "reweight": dataset.reweight and dataset.reweight.model_dump(mode="json"),
            "samples": samples,
            "places": sorted(str(f.path) for f in files) if dataset.stream == "direct" else [],
            "classes": list(dataset.classes.items()),
            "candidate": _features(dataset.candidate),
            "groups": [
                [name, group.select, group.order_by, _features(group.features)]
                for name, group in dataset.groups.items()
            ],
            "spectators": list(dataset.spectators.items()),
            # absent where not set, so that datasets from before this setting keep their digest
            **({"resample": resample.model_dump(mode="json")} if resample else {}),
            **_layout(dataset),
        }
    )


def extract_digest(dataset: Dataset, *, sample: str, sha256: str) -> str:
    """Return the SHA-256 of all that decides what the first pass extracts from one file.

    The digest depends on the file's content, its sample, and the settings that the first pass uses;
    not on the other files, balance, proportions and chunk size. In the first pass a feature's
    transform only matters where it may make the logarithm undefined, unless constants are fitted
    there (direct streaming).

    Args:
        dataset: the settings.
        sample: name of the file's sample.
        sha256: of the file.
    """
    keys = {"selection", "event_number", "split", "missing", "negative_weights", "stream"}
    features = _features if dataset.stream == "direct" else _features_before_constants
    axes = dataset.reweight.axes if dataset.reweight else {}
    return durable.sha256_json(
        {
            "version": EXTRACTION,
            "file": sha256,
            "sample": _sample(dataset, sample),
            "settings": dataset.model_dump(mode="json", include=keys),
            "cuts": list(dataset.cuts.values()),
            "classes": list(dataset.classes.items()),
            "reweight": [axis.expression or name for name, axis in axes.items()],
            "candidate": features(dataset.candidate),
            "groups": [
                [name, group.select, group.order_by, features(group.features)]
                for name, group in dataset.groups.items()
            ],
            "spectators": list(dataset.spectators.values()),
            **_layout(dataset),
        }
    )


def _sample(dataset: Dataset, name: str) -> list[Any]:
    sample = dataset.samples[name]
    return [name, sample.tree, list(sample.friends), sample.weight, sorted(sample.classes)]


def _layout(dataset: Dataset) -> dict[str, Any]:
    """Return the layout of events; absent for flat ntuples, so that these keep their digest."""
    layout = dataset.layout.model_dump(mode="json")
    return {"layout": layout} if dataset.layout.type == "events" else {}


def _features(features: dict[str, Feature]) -> list[Any]:
    return [[name, feature.model_dump(mode="json")] for name, feature in features.items()]


_BEFORE_LOG = ("divide", "abs", "min", "max", "offset")


def _features_before_constants(features: dict[str, Feature]) -> list[Any]:
    """Return name and expression, and the settings that decide whether a value is missing."""
    described: list[Any] = []
    for name, feature in features.items():
        before_log = [getattr(feature, key) for key in _BEFORE_LOG]
        matters = may_lack_logarithm(feature)
        described.append([name, feature.expression or name, before_log if matters else None])
    return described
