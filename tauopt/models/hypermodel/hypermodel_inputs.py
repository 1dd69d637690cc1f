"""What a model of the user's own sees: our inputs by name, or all features laid flat."""

from __future__ import annotations

from typing import Any

from keras import layers

from tauopt.config.settings.inputs import InputSpec
from tauopt.models import blocks
from tauopt.models.object_layers import Objects


def flat_features(spec: InputSpec) -> int:
    """Return how many numbers a candidate has when all its features are laid flat."""
    objects = sum(length * len(spec.group(name).features) for name, length in spec.lengths.items())
    return len(spec.candidate.features) + objects


def flat(inputs: blocks.NetworkInputs) -> Any:
    """Lay all features flat, preprocessed: the candidate's own, then group by group its objects.

    Returns:
        (N, flat_features) symbolic tensor; zero where there is no object.
    """
    parts = [inputs.candidate]
    for name, group in inputs.groups.items():
        objects = Objects(group.length, name=f"{name}_objects")(group.rows)
        parts.append(layers.Flatten(name=f"{name}_flat")(objects))
    return parts[0] if len(parts) == 1 else layers.Concatenate(name="features")(parts)
