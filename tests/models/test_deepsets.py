from __future__ import annotations

from tauopt.config.settings.networks import DeepSets
from tauopt.models.build_model import describe
from tests.models.specs import MODES, spec_of


def normalized(before: int, widths: list[int]) -> int:
    """Count parameters of dense layers without bias, and of normalisation: 4 a unit, plus 1."""
    return sum(b * u + 4 * u + 1 for b, u in zip([before, *widths], widths, strict=False))


def test_defaults_have_the_parameters_of_the_atlas_unified_classifier():
    features = {"tracks": 10, "neutral_pfos": 14, "shots": 6, "conversions": 6}
    network = DeepSets.model_validate({"type": "deepsets", "groups": {key: {} for key in features}})
    towers = {
        "tracks": ([30, 30, 20], [20, 20, 20]),
        "neutral_pfos": ([80, 80, 60, 60], [60, 40, 40]),
        "shots": ([20, 20, 20], [20, 20, 20]),
        "conversions": ([30, 30, 20], [20, 20, 20]),
    }
    total = normalized(11, [60, 30, 15]) + normalized(20 + 40 + 20 + 20 + 15, [100, 50]) + 51 * 6
    for name, (phi, f) in towers.items():
        total += normalized(features[name], phi) + normalized(phi[-1], f)
    spec = spec_of(network, candidate=11, groups=features, classes=("jet", *MODES))
    assert describe(spec, network).parameters == total
