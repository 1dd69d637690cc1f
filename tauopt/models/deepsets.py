"""Deep Sets: one branch for each group of objects, beside the candidate's own features.

phi acts on each object, F on the sum over real objects, so that neither the order of objects
nor padding changes the output.

Source: Zaheer et al., Deep Sets, arXiv:1703.06114; widths of the ATLAS unified tau classifier.
"""

from __future__ import annotations

from typing import Any

import keras

from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import DeepSets, DeepSetsGroup
from tauopt.models import blocks
from tauopt.models.object_layers import Objects, SumObjects


def deepsets(spec: InputSpec, settings: DeepSets, *, seed: int) -> keras.Model:
    """Build a Deep Sets network."""
    inputs = blocks.inputs(spec, settings)
    make = blocks.Layers(
        blocks.seeds(seed),
        activation=settings.activation,
        initializer="he_normal",
        normalize=settings.batch_normalization,
        dropout=settings.dropout,
    )
    branches = [
        _branch(objects, make, settings.groups[name], name=name)
        for name, objects in inputs.groups.items()
    ]
    if inputs.candidate is not None:
        branches.append(make.tower(inputs.candidate, settings.candidate, name="candidate"))
    x = blocks.merged(branches)
    for number, units in enumerate(settings.merge.sizes(), start=1):
        x = make.drop(x, name=f"merge_{number}")
        x = make.dense(x, units, name=f"merge_dense_{number}")
    return keras.Model(inputs.raw, blocks.probabilities(x, spec, make), name="deepsets")


def _branch(
    objects: blocks.PreprocessedGroup, make: blocks.Layers, group: DeepSetsGroup, *, name: str
) -> Any:
    """Apply phi to each object, sum over the real ones, apply F."""
    rows = make.tower(objects.rows, group.phi, name=f"{name}_phi", real=objects.real_rows)
    x = Objects(objects.length, name=f"{name}_objects")(rows)
    x = SumObjects(name=f"{name}_sum")(x, objects.real)
    return make.tower(x, group.f, name=f"{name}_f")
