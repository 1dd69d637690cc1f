"""Random candidates in the shape of the demo sample: its branches, multiplicities and features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tauopt.config.load import read_dataset
from tauopt.config.settings.dataset import Dataset

DEMO = Path(__file__).parents[2] / "search_spaces" / "data" / "demo.yaml"
BASKET = 10_000
"""Entries a basket: some ten kB, as in files of ROOT."""
OBJECTS = {"track": 4.2, "cluster": 6.0, "pfo": 2.0, "conversion": 0.25}
"""Mean number of each kind in the demo sample."""
_KINEMATICS = {
    "track": ("pt", "d0", "z0sintheta", "dEta", "dPhi"),
    "cluster": ("et", "SECOND_R", "SECOND_LAMBDA", "CENTER_LAMBDA", "dEta", "dPhi"),
    "pfo": (
        "pt", "pi0BDT", "SECOND_R", "secondEtaWRTClusterPosition_EM1", "ENG_FRAC_CORE",
        "energyfrac_EM2", "ptSub", "dEta", "dPhi",
    ),
    "conversion": ("pt", "dEta", "dPhi"),
}  # fmt: skip
_COUNTS = {
    "track": ("nInnermostPixelHits", "nPixelHits", "nSCTHits"),
    "pfo": ("nHitsInEM1", "nPosECells_EM1"),
}
_OWN = (
    "centFrac", "etOverPtLeadTrk", "dRmax", "SumPtTrkFrac", "EMPOverTrkSysP", "ptRatioEflowApprox",
    "ipSigLeadTrk", "trFlightPathSig",
)  # fmt: skip
_MOMENTA = ("ptJetSeed", "mEflowApprox", "ptIntermediateAxis", "massTrkSys")


def settings(folder: Path | str, **changes: Any) -> Dataset:
    """Return the demo's dataset over the files of a folder, taus and jets mixed."""
    demo = read_dataset(DEMO)
    sample = {"files": [f"{folder}/*.root"], "weight": "weight", "classes": list(demo.classes)}
    plain = demo.model_dump(exclude={"simulate", "samples"}, exclude_defaults=True)
    return Dataset.model_validate({**plain, "samples": {"all": sample}, **changes})


def write(path: Path, candidates: int, *, seed: int, first_event: int) -> None:
    """Write candidates into a TTree compressed by zstd."""
    import awkward as ak
    import uproot

    scalars, groups = columns(candidates, seed=seed, first_event=first_event)
    content: dict[str, Any] = dict(scalars)
    for name, (counts, features) in groups.items():
        content[name] = ak.zip({k: ak.unflatten(v, counts) for k, v in features.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path, compression=uproot.ZSTD(1)) as file:
        types = {n: c.dtype if n in scalars else c.type.content for n, c in content.items()}
        file.mktree("candidates", types)
        for first in range(0, candidates, BASKET):
            piece = slice(first, first + BASKET)
            file["candidates"].extend({name: column[piece] for name, column in content.items()})


Columns = dict[str, NDArray[Any]]


def columns(
    candidates: int, *, seed: int, first_event: int
) -> tuple[Columns, dict[str, tuple[NDArray[np.int64], Columns]]]:
    """Return scalars by branch, and of each kind of objects their numbers and features."""
    rng = np.random.default_rng(seed)
    label = np.where(rng.random(candidates) < 0.5, 0, rng.integers(1, 6, candidates))

    def reals(size: int) -> NDArray[np.float32]:
        return rng.standard_gamma(2.0, size, dtype=np.float32)

    pt = 15_000 + 15_000 * reals(candidates)
    scalars: Columns = {
        "event_number": first_event + np.arange(candidates),
        "weight": 0.5 + rng.random(candidates, dtype=np.float32),
        "pt": pt,
        "eta": rng.uniform(-2.6, 2.6, candidates).astype(np.float32),
        "mu": rng.poisson(35, candidates).astype(np.float32),
        "n_tracks": rng.choice(np.array([1, 3], np.int32), candidates),
        "truth_class": label.astype(np.int32),
        "truth_pt_vis": pt,
        "truth_eta_vis": np.zeros(candidates, np.float32),
        "truth_decay_mode": label.astype(np.int32),
    }
    scalars |= {name: reals(candidates) for name in _OWN}
    scalars |= {name: 10_000 * reals(candidates) for name in _MOMENTA}
    groups = {}
    for name, mean in OBJECTS.items():
        counts = rng.poisson(mean, candidates)
        total = int(counts.sum())
        features: Columns = {feature: reals(total) for feature in _KINEMATICS[name]}
        for feature in _COUNTS.get(name, ()):
            features[feature] = rng.integers(0, 9, total, dtype=np.int32)
        groups[name] = counts, features
    return scalars, groups
