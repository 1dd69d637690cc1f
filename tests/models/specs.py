"""Input specs, networks and batches for the tests of models."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import pytest

from tauopt.config.settings import inputs
from tauopt.config.settings.inputs import FittedFeature, FittedGroup, InputSpec, Transform
from tauopt.config.settings.networks import (
    AnyNetwork,
    DecayModeRnn,
    DeepSets,
    DeepSetsGroup,
    DeepTau,
    DeepTauGroup,
    Dense,
    Grid,
    ObjectGroup,
    ParticleNet,
    Rnn,
    RnnGroup,
    Tower,
    Transformer,
    group_lengths,
)

MODES = ("1p0n", "1p1n", "1pXn", "3p0n", "3pXn")
CANDIDATE = Tower(layers=2, units=8, last_units=4)
MERGE = Tower(layers=2, units=8, reduction=0.5)
EIGHT = Tower(layers=1, units=8)
OBJECTS = {"tracks": ObjectGroup(length=5), "clusters": ObjectGroup(length=3)}
SMALL: dict[str, AnyNetwork] = {
    "rnn": Rnn(
        type="rnn",
        groups={
            "tracks": RnnGroup(length=5, units=8, dense=EIGHT),
            "clusters": RnnGroup(length=3, units=6, dense=EIGHT, rnn_layers=2),
        },
        candidate=CANDIDATE,
    ),
    "gru": Rnn(
        type="rnn",
        cell="gru",
        bidirectional=True,
        reversed=True,
        dropout=0.2,
        groups={"tracks": RnnGroup(length=5, units=8, dense=Tower(layers=0), rnn_layers=2)},
        candidate=Tower(layers=0),
        merge=MERGE,
    ),
    "decay_mode_rnn": DecayModeRnn(
        type="decay_mode_rnn",
        groups={"tracks": RnnGroup(length=5, units=8), "clusters": RnnGroup(length=3, units=6)},
        drop="tracks.f1 clusters.f0",
        merge=MERGE,
    ),
    "deepsets": DeepSets(
        type="deepsets",
        dropout=0.1,
        groups={
            "tracks": DeepSetsGroup(length=5, phi=Tower(widths=(8, 6, 20)), f=MERGE),
            "clusters": DeepSetsGroup(length=3, phi=Tower(layers=1, units=1), f=EIGHT),
        },
        candidate=CANDIDATE,
        merge=MERGE,
    ),
    "deepsets_plain": DeepSets(
        type="deepsets",
        batch_normalization=False,
        inputs="all-clusters",
        groups={
            "tracks": DeepSetsGroup(length=5, phi=EIGHT, f=EIGHT),
            "clusters": DeepSetsGroup(length=3),
        },
    ),
    "transformer": Transformer(
        type="transformer",
        layers=2,
        dim=8,
        heads=2,
        feed_forward=16,
        groups=OBJECTS,
        candidate=EIGHT,
        merge=EIGHT,
    ),
    "transformer_pairs": Transformer(
        type="transformer",
        layers=2,
        dim=9,
        heads=2,
        feed_forward=16,
        inputs="all-candidate",
        pairwise=True,
        coordinates={"eta": "f2", "phi": "f3 f1", "pt": "f0"},
        groups=OBJECTS,
    ),
    "particlenet": ParticleNet(
        type="particlenet",
        neighbours=3,
        last_neighbours=9,
        embedding=8,
        channels=Tower(layers=2, units=8, last_units=6),
        coordinates={"eta": "f2", "phi": "f1"},
        groups=OBJECTS,
        candidate=EIGHT,
        merge=EIGHT,
    ),
    "particlenet_plain": ParticleNet(
        type="particlenet",
        neighbours=2,
        embedding=8,
        channels=Tower(layers=1, units=8),
        edge_layers=1,
        batch_normalization=False,
        inputs="tracks",
        coordinates={"eta": "f2", "phi": "f3"},
        groups=OBJECTS,
        merge=Tower(layers=0),
    ),
    "deeptau": DeepTau(
        type="deeptau",
        inner=Grid(cells=4, size=2.0),
        outer=Grid(cells=3, size=20.0),
        coordinates={"eta": "f1", "phi": "f2"},
        groups={
            "tracks": DeepTauGroup(length=5, objects=MERGE),
            "clusters": DeepTauGroup(length=3, objects=EIGHT),
        },
        candidate=EIGHT,
        cells=EIGHT,
        filters=8,
        filter_reduction=0.5,
        merge=MERGE,
    ),
    "dense": Dense(type="dense", units=16, reduction=0.5, dropout=0.1),
    "dense_normalized": Dense(type="dense", units=16, batch_normalization=True),
    "dense_flat": Dense(
        type="dense",
        widths=(16, 8),
        activation="prelu",
        inputs="tracks",
        groups=OBJECTS,
    ),
}
"""Small networks that together use every branch of the builders."""


def by_default(chosen: Collection[str], names: Iterable[str] = tuple(SMALL)) -> list:
    """Return names of networks as parameters of a test; all but the chosen ones are marked slow."""
    return [
        name if name in chosen else pytest.param(name, marks=pytest.mark.slow) for name in names
    ]


def group(name: str, features: int) -> FittedGroup:
    """Return a group of features with transforms of every kind in turn."""
    kinds = (
        (Transform(log10=True, scale="standard"), 4.2, 0.4),
        (Transform(abs=True, offset=1e-6, log10=True, scale="standard"), -1.5, 0.8),
        (Transform(divide=0.4), 0.0, 1.0),
        (Transform(min=0.0, max=4.0, scale="minmax"), 0.0, 4.0),
    )
    return FittedGroup(
        name=name,
        features=tuple(
            FittedFeature(
                name=f"f{i}",
                transform=kinds[i % 4][0],
                shift=kinds[i % 4][1],
                spread=kinds[i % 4][2],
            )
            for i in range(features)
        ),
    )


def spec_of(
    network: AnyNetwork,
    *,
    groups: dict[str, int],
    candidate: int = 5,
    classes: tuple[str, ...] = ("jet", "tau"),
) -> InputSpec:
    """Return the input spec of `network`; `groups` gives the number of features of each group."""
    return InputSpec(
        candidate=group("candidate", candidate),
        groups=tuple(group(name, features) for name, features in groups.items()),
        lengths=group_lengths(network),
        classes=classes,
        signal=tuple(name for name in classes if name != "jet"),
    )


def spec_for(
    network: AnyNetwork,
    *,
    candidate: int = 5,
    tracks: int = 4,
    clusters: int = 3,
    classes: tuple[str, ...] = ("jet", "tau"),
) -> InputSpec:
    groups = {"tracks": tracks, "clusters": clusters}
    return spec_of(network, groups=groups, candidate=candidate, classes=classes)


def batch(spec: InputSpec, *, size: int = 32, seed: int = 0) -> dict[str, np.ndarray]:
    """Return random inputs, zero where masked; the first candidate has no objects."""
    rng = np.random.default_rng(seed)
    inputs = {"candidate": rng.lognormal(1, 2, (size, len(spec.candidate.features)))}
    for name, length in spec.lengths.items():
        count = rng.integers(0, length + 1, size)
        count[0] = 0
        mask = np.arange(length) < count[:, None]
        values = rng.lognormal(1, 2, (size, length, len(spec.group(name).features)))
        inputs[name] = np.where(mask[..., None], values, 0.0)
        inputs[f"{name}_mask"] = mask
    return {k: v if v.dtype == bool else v.astype(np.float32) for k, v in inputs.items()}


def one_hot(spec: InputSpec, size: int = 32) -> np.ndarray:
    return np.eye(len(spec.classes), dtype=np.float32)[np.arange(size) % len(spec.classes)]


def fitted(name, features):
    return FittedGroup(
        name=name,
        features=tuple(
            FittedFeature(
                name=feature, transform=Transform(**settings.model_dump(exclude={"expression"}))
            )
            for feature, settings in features.items()
        ),
    )


def spec_of_data(experiment):
    """Return the input spec of an experiment, with preprocessing constants of 0 and 1."""
    data, task = experiment.data, experiment.task
    return InputSpec(
        candidate=fitted(inputs.CANDIDATE, data.candidate),
        groups=tuple(fitted(name, group.features) for name, group in data.groups.items()),
        lengths=group_lengths(experiment.model),
        classes=tuple(task.classes),
        signal=task.signal,
        heads=task.heads,
    )
