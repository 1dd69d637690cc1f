"""Make a small prepared dataset on disk from random, physics-like arrays.

Jets and taus of five decay modes that a network can tell apart: by the number of tracks and of
neutral PFOs, by the width, and by displaced tracks. Used by the tests of everything that reads
prepared datasets; needs no ROOT file and no simulation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tauopt import durable
from tauopt.config.settings.inputs import FittedFeature, FittedGroup, Transform
from tauopt.dataset.chunk_writer import chunk_name, write_chunk
from tauopt.dataset.manifest import SPLITS, Manifest, folder_name, split_info, write_manifest

CLASSES = ("jet", "1p0n", "1p1n", "1pXn", "3p0n", "3pXn")
SIGNAL = CLASSES[1:]
SPECTATORS = ("pt", "eta", "mu", "prongs")
SPLIT_OF_TEN = {"train": (0, 1, 2, 3, 4, 5), "validation": (6, 7), "test": (8, 9)}
"""Which last digits of the event number each split takes."""

LOG = {"log10": True, "scale": "standard"}
CONE = {"divide": 0.4}
STANDARD = {"scale": "standard"}

CANDIDATE = {
    "cent_frac": {"max": 1.0} | STANDARD,
    "et_over_pt_lead_trk": {"min": 0.1} | LOG,
    "dr_max": STANDARD,
    "sum_pt_trk_frac": STANDARD,
    "pt_jet_seed": {"divide": 1000.0} | LOG,
    "n_tracks": {"scale": "minmax"},
    "mass_trk_sys": {"min": 140.0} | LOG,
}
GROUPS = {
    "tracks": {
        "pt": LOG,
        "d0": {"abs": True, "offset": 1e-6} | LOG,
        "z0_sin_theta": {"abs": True, "offset": 1e-6} | LOG,
        "d_eta": CONE,
        "d_phi": CONE,
    },
    "clusters": {"et": LOG, "second_r": {"offset": 0.1} | LOG, "d_eta": CONE, "d_phi": CONE},
    "neutral_pfos": {"pt": LOG, "d_eta": CONE, "d_phi": CONE, "pi0_score": STANDARD},
    "conversions": {"pt": LOG, "d_eta": CONE, "d_phi": CONE},
}
"""Group -> feature -> transform, as in a dataset file."""


def prepared_dataset(
    parent: Path,
    *,
    candidates: int = 2000,
    chunk_size: int = 400,
    seed: int = 1,
    groups: Sequence[str] = tuple(GROUPS),
    name: str = "toy",
    classes: Sequence[str] = CLASSES,
) -> Path:
    """Write a prepared dataset of `candidates` over all splits (6:2:2); return its folder.

    Half of the candidates are jets; weights are positive and about 1, those of jets fall with pT.
    The same arguments give the same bytes. `classes` are other names for the six kinds.
    """
    rng = np.random.default_rng(seed)
    arrays = random_candidates(rng, candidates, groups=groups)
    digest = hashlib.sha256(repr((candidates, chunk_size, seed, groups)).encode()).hexdigest()
    in_split = {
        split: np.flatnonzero(np.isin(arrays["event_numbers"] % 10, digits))
        for split, digits in SPLIT_OF_TEN.items()
    }
    folder = parent / folder_name(name, digest)
    with durable.new_folder(folder) as temporary:
        splits = {}
        for split in SPLITS:
            rows, chunks = in_split[split], []
            for number, begin in enumerate(range(0, len(rows), chunk_size)):
                part = take(arrays, rows[begin : begin + chunk_size], groups)
                chunks.append(
                    write_chunk(temporary, chunk_name(split, number), classes=classes, **part)
                )
            splits[split] = split_info(chunks, classes=classes)
        train = take(arrays, in_split["train"], groups)
        write_manifest(
            temporary,
            Manifest(
                name=name,
                digest=digest,
                classes=tuple(classes),
                splits=splits,
                candidate=_fit("candidate", CANDIDATE, train["candidate"]),
                groups=tuple(_fit(g, GROUPS[g], train["groups"][g][0]) for g in groups),
                spectators=SPECTATORS,
            ),
        )
    return folder


def random_candidates(rng: np.random.Generator, count: int, *, groups: Sequence[str]) -> dict:
    """Return the arguments of `write_chunk` for `count` random candidates."""
    label = np.where(rng.random(count) < 0.5, 0, rng.integers(1, len(CLASSES), count))
    is_jet = label == 0
    core = np.where(np.isin(label, (4, 5)), 3, 1)
    core = np.where(is_jet, rng.choice([1, 3], count), core)
    pi0 = np.choose(label, [2, 0, 1, 2, 0, 1]) + np.where(is_jet, rng.poisson(1.5, count), 0)
    pt = 20_000 * (1 + rng.pareto(3, count))
    width = np.where(is_jet, 0.12, 0.05) * rng.gamma(8, 1 / 8, count)
    objects = {
        "tracks": core + rng.poisson(np.where(is_jet, 4, 1)),
        "clusters": 1 + rng.poisson(np.where(is_jet, 5, 2)),
        "neutral_pfos": pi0 + rng.poisson(0.5, count),
        "conversions": rng.poisson(0.3 * pi0),
    }
    arrays = {
        "labels": label,
        "weights": np.where(is_jet, 20_000 / pt + 0.5, 1.0),
        "event_numbers": rng.permutation(count) + 1_000_000,
        "candidate": np.stack(
            [
                rng.beta(np.where(is_jet, 3, 8), 3),
                rng.gamma(np.where(is_jet, 2, 1 + pi0), 1.0) + 0.2,
                width * 2,
                rng.beta(3, np.where(is_jet, 3, 1.5)),
                pt,
                objects["tracks"],
                rng.gamma(4, np.where(is_jet, 900, 250), count),
            ],
            axis=1,
        ),
        "groups": {g: _group(rng, g, counts=objects[g], pt=pt, width=width) for g in groups},
        "spectators": np.stack(
            [pt, rng.uniform(-2.5, 2.5, count), rng.poisson(35, count), core], axis=1
        ),
    }
    return arrays


def _group(
    rng: np.random.Generator, name: str, *, counts: np.ndarray, pt: np.ndarray, width: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the objects of one group, falling in momentum within each candidate."""
    offsets = np.concatenate([[0], np.cumsum(counts)])
    owner = np.repeat(np.arange(len(counts)), counts)
    total = len(owner)
    momentum = pt[owner] * rng.beta(1, 4, total) + 1000
    momentum = momentum[np.lexsort((-momentum, owner))]
    spread = width[owner]
    values = {
        "pt": momentum,
        "et": momentum,
        "d0": rng.laplace(0, np.where(spread < 0.07, 0.08, 0.03)),
        "z0_sin_theta": rng.laplace(0, 0.1, total),
        "d_eta": np.clip(rng.normal(0, spread), -0.4, 0.4),
        "d_phi": np.clip(rng.normal(0, spread), -0.4, 0.4),
        "second_r": rng.gamma(2, 20 * spread),
        "pi0_score": rng.beta(2, 2, total),
    }
    return np.stack([values[feature] for feature in GROUPS[name]], axis=1), offsets


def take(arrays: dict, rows: np.ndarray, groups: Sequence[str]) -> dict:
    """Return the rows of `random_candidates`' arrays, jagged groups included."""
    jagged = {}
    for group in groups:
        values, offsets = arrays["groups"][group]
        counts = np.diff(offsets)[rows]
        inner = [np.arange(offsets[row], offsets[row + 1]) for row in rows]
        index = np.concatenate([*inner, np.empty(0, int)]).astype(int)
        jagged[group] = values[index], np.concatenate([[0], np.cumsum(counts)])
    flat = {key: value[rows] for key, value in arrays.items() if key != "groups"}
    return {**flat, "groups": jagged}


def _fit(name: str, features: dict, values: np.ndarray) -> FittedGroup:
    """Fit the constants of each column, as `prepare` does on the training split."""
    fitted = []
    for column, (feature, settings) in enumerate(features.items()):
        transform = Transform(**settings)
        x = transformed(values[:, column].astype(np.float64), transform)
        shift, spread = 0.0, 1.0
        if transform.scale == "standard":
            shift, spread = float(x.mean()), float(x.std()) or 1.0
        elif transform.scale == "minmax":
            shift, spread = float(x.min()), float(np.ptp(x)) or 1.0
        fitted.append(FittedFeature(name=feature, transform=transform, shift=shift, spread=spread))
    return FittedGroup(name=name, features=tuple(fitted))


def transformed(x: np.ndarray, transform: Transform) -> np.ndarray:
    """Apply a transform, without its constants: the slow, obvious reference."""
    x = x / transform.divide
    if transform.abs:
        x = np.abs(x)
    if transform.min is not None or transform.max is not None:
        x = np.clip(x, transform.min, transform.max)
    x = x + transform.offset
    return np.log10(x) if transform.log10 else x
