"""Convert candidates to the branches of the ntuple: names, MeV, single precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tauopt.physics.kinematics import delta_phi
from tauopt.simulate.clusters import Clusters, NeutralPfos
from tauopt.simulate.columns import Array
from tauopt.simulate.tau_candidates import TauCandidates
from tauopt.simulate.tracks import Tracks

MEV = 1000.0
"""MeV in a GeV."""
_IN_GEV = ("pt", "ptJetSeed", "ptIntermediateAxis", "massTrkSys", "mEflowApprox", "truth_pt_vis")
_INTEGERS = (
    "n_tracks", "n_isolation_tracks", "charge", "truth_class", "truth_prongs", "truth_neutrals",
    "truth_decay_mode",
)  # fmt: skip

BranchGroup = tuple[Array, dict[str, Array]]
"""Number of objects in each entry, (entry,), and name -> feature of all objects, (object,)."""


@dataclass(frozen=True)
class Branches:
    """Branches of some entries of the ntuple.

    Attributes:
        scalars: branch name -> values, (entry,).
        groups: group name -> objects.
    """

    scalars: dict[str, Array]
    groups: dict[str, BranchGroup]

    def __len__(self) -> int:
        return len(self.scalars["pt"])

    def take(self, kept: Array) -> Branches:
        """Return the entries where the mask `kept`, (entry,) bool, is True."""
        groups = {}
        for name, (counts, features) in self.groups.items():
            rows = np.repeat(kept, counts)
            groups[name] = (counts[kept], {key: values[rows] for key, values in features.items()})
        return Branches({name: values[kept] for name, values in self.scalars.items()}, groups)


def join(parts: Sequence[Branches]) -> Branches:
    """Concatenate the entries of at least one part."""
    names = parts[0].scalars
    scalars = {name: np.concatenate([part.scalars[name] for part in parts]) for name in names}
    groups: dict[str, BranchGroup] = {}
    for name, (_, features) in parts[0].groups.items():
        group_parts = [part.groups[name] for part in parts]
        groups[name] = (
            np.concatenate([counts for counts, _ in group_parts]),
            {key: np.concatenate([objects[key] for _, objects in group_parts]) for key in features},
        )
    return Branches(scalars, groups)


def make_branches(candidates: TauCandidates, truth: dict[str, Array]) -> Branches:
    """Convert candidates and their truth to all branches of the ntuple.

    Args:
        candidates: reconstructed candidates, in GeV.
        truth: branch name -> values in GeV, (candidate,), from `truth_columns`.
    Returns:
        energies and momenta in MeV, lengths in mm, float32; counts and codes int32. `dEta` and
        `dPhi` of objects are relative to the candidate's axis.
    """
    axis = (candidates.scalars["eta"], candidates.scalars["phi"])
    n = len(candidates.event)
    return Branches(
        scalars={
            name: _scalar(name, values) for name, values in (candidates.scalars | truth).items()
        },
        groups={
            "track": _group(_track_features(candidates.tracks), candidates.tracks, axis, n),
            "cluster": _group(_cluster_features(candidates.clusters), candidates.clusters, axis, n),
            "pfo": _group(_pfo_features(candidates.pfos), candidates.pfos, axis, n),
            "conversion": _conversions(candidates.tracks, axis, n),
        },
    )


def _scalar(name: str, values: Array) -> Array:
    if name in _INTEGERS:
        return values.astype(np.int32)
    return (values * (MEV if name in _IN_GEV else 1.0)).astype(np.float32)


def _group(
    features: dict[str, Array], objects: Tracks | Clusters | NeutralPfos,
    axis: tuple[Array, Array], n: int,
) -> BranchGroup:  # fmt: skip
    eta, phi = axis
    columns = features | {
        "dEta": objects.eta - eta[objects.event],
        "dPhi": delta_phi(objects.phi, phi[objects.event]),
    }
    counts = np.bincount(objects.event, minlength=n)
    return counts, {
        name: values.astype(np.int32 if values.dtype.kind in "iu" else np.float32)
        for name, values in columns.items()
    }


def _track_features(tracks: Tracks) -> dict[str, Array]:
    return {
        "pt": tracks.pt * MEV,
        "d0": tracks.d0,
        "z0sintheta": tracks.z0,
        "charge": tracks.charge,
        "nInnermostPixelHits": tracks.innermost,
        "nPixelHits": tracks.pixel,
        "nSCTHits": tracks.strip,
    }


def _conversions(tracks: Tracks, axis: tuple[Array, Array], n: int) -> BranchGroup:
    tracks = tracks.take(tracks.conversion)
    features = {"pt": tracks.pt * MEV, "d0": tracks.d0, "charge": tracks.charge}
    return _group(features, tracks, axis, n)


def _cluster_features(clusters: Clusters) -> dict[str, Array]:
    return {
        "et": clusters.et * MEV,
        "SECOND_R": clusters.second_r,
        "SECOND_LAMBDA": clusters.second_lambda,
        "CENTER_LAMBDA": clusters.center_lambda,
    }


def _pfo_features(pfos: NeutralPfos) -> dict[str, Array]:
    return {
        "pt": pfos.pt * MEV,
        "pi0BDT": pfos.pi0_score,
        "nHitsInEM1": pfos.hits_em1,
        "nPosECells_EM1": pfos.positive_cells_em1,
        "SECOND_R": pfos.second_r,
        "secondEtaWRTClusterPosition_EM1": pfos.second_eta,
        "ENG_FRAC_CORE": pfos.core_fraction,
        "energyfrac_EM2": pfos.em2_fraction,
        "ptSub": pfos.pt_subtracted * MEV,
    }
