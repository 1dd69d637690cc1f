"""The digests that name what is prepared: of a dataset, and of the extract of one file."""

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
"""Raised whenever the same settings and files would give other chunks."""
EXTRACTION = 2
"""Raised whenever the same settings and file would give another extract."""


def of_dataset(dataset: Dataset, files: Sequence[InputFile]) -> str:
    """Return the SHA-256 of all that decides what a prepared dataset holds.

    That is the versions of format and algorithm, the settings, and the content of the files;
    not how many bad ones are tolerated, nor the files' names unless they are streamed directly.
    The order of features and classes counts; the order of samples and files does not.
    """
    samples = sorted(
        [*_sample(dataset, name), sorted(file.sha256 for file in files if file.sample == name)]
        for name in dataset.samples
    )
    plain = {"name", "selection", "event_number", "split", "missing", "stream"}
    plain |= {"cuts", "chunk_size", "proportions", "negative_weights"}
    settings = dataset.model_dump(mode="json", include=plain)
    return durable.sha256_json(
        {
            "version": VERSION,
            "algorithm": ALGORITHM,
            "settings": settings,
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
            **_resample(dataset),
            **_layout(dataset),
        }
    )


def of_extract(dataset: Dataset, *, sample: str, sha256: str) -> str:
    """Return the SHA-256 of all that decides what the first pass takes from one file.

    That is its content, its sample, and the settings that the first pass uses. Of a feature's
    transform only what may make its logarithm undefined counts, unless constants are fitted in
    the first pass. The other files, balance, proportions and chunk size do not.

    Args:
        dataset: the settings.
        sample: name of the file's sample.
        sha256: of the file.
    """
    plain = {"selection", "event_number", "split", "missing", "negative_weights", "stream"}
    direct = dataset.stream == "direct"
    taken = _features if direct else _taken
    axes = dataset.reweight.axes if dataset.reweight else {}
    return durable.sha256_json(
        {
            "version": EXTRACTION,
            "file": sha256,
            "sample": _sample(dataset, sample),
            "settings": dataset.model_dump(mode="json", include=plain),
            "cuts": list(dataset.cuts.values()),
            "classes": list(dataset.classes.items()),
            "reweight": [axis.expression or name for name, axis in axes.items()],
            "candidate": taken(dataset.candidate),
            "groups": [
                [name, group.select, group.order_by, taken(group.features)]
                for name, group in dataset.groups.items()
            ],
            "spectators": list(dataset.spectators.values()),
            **_layout(dataset),
        }
    )


def _sample(dataset: Dataset, name: str) -> list[Any]:
    sample = dataset.samples[name]
    return [name, sample.tree, list(sample.friends), sample.weight, sorted(sample.classes)]


def _resample(dataset: Dataset) -> dict[str, Any]:
    resample = dataset.resample
    return {"resample": resample.model_dump(mode="json")} if resample else {}


def _layout(dataset: Dataset) -> dict[str, Any]:
    layout = dataset.layout.model_dump(mode="json")
    return {"layout": layout} if dataset.layout.type == "events" else {}


def _features(features: dict[str, Feature]) -> list[Any]:
    return [[name, feature.model_dump(mode="json")] for name, feature in features.items()]


_BEFORE_LOG = ("divide", "abs", "min", "max", "offset")


def _taken(features: dict[str, Feature]) -> list[Any]:
    """Return name and expression, and what decides whether a value counts as missing."""
    taken: list[Any] = []
    for name, feature in features.items():
        before = [getattr(feature, key) for key in _BEFORE_LOG]
        matters = may_lack_logarithm(feature)
        taken.append([name, feature.expression or name, before if matters else None])
    return taken
