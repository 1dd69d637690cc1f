"""Transformer encoder: self-attention over all objects of a candidate, with a class token.

Each group of objects has its own embedding layer, whose bias is the learned embedding of the
object type. Neither the order of objects nor padding changes the output.

Source: Vaswani et al., arXiv:1706.03762, with normalisation before each layer (Xiong et al.,
arXiv:2002.04745); sizes of TauMLTools; pair features of Particle Transformer, arXiv:2202.03772.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from tauopt.config.settings.inputs import InputSpec
from tauopt.config.settings.networks import Transformer
from tauopt.models import blocks
from tauopt.models.attention_layers import Attend, AttentionBias, ClassToken, PairFeatures
from tauopt.models.batch_normalization import Normalize
from tauopt.models.joint_objects import LARGEST_ANGLE, JointObjects, join_objects, raw_features
from tauopt.models.object_layers import FirstObject, Rows

EPSILON = 1e-6
"""Added to the variance in layer normalisation; as in TauMLTools."""
PT_BOUNDS = (1e-6, 1e12)
"""Transverse momenta are clipped to these, in the dataset's unit, so that ln pT is finite."""


def transformer(spec: InputSpec, settings: Transformer, *, seed: int) -> keras.Model:
    """Build a transformer."""
    inputs = blocks.inputs(spec, settings)
    make = blocks.Layers(
        blocks.seeds(seed), activation=settings.activation, dropout=settings.dropout
    )
    x = None
    if inputs.candidate is not None:
        x = make.tower(inputs.candidate, settings.candidate, name="candidate")
        x = make.linear(x, settings.dim, name="candidate_embed")
    if inputs.groups:
        x = _encode(inputs, x, make, settings)
    x = layers.LayerNormalization(epsilon=EPSILON, name="class_normalize")(x)
    x = make.tower(x, settings.merge, name="merge")
    x = make.drop(x, name="output")
    return keras.Model(inputs.raw, blocks.probabilities(x, spec, make), name="transformer")


def _encode(
    inputs: blocks.NetworkInputs, candidate: Any, make: blocks.Layers, settings: Transformer
) -> Any:
    """Apply the transformer blocks to all objects; return the class token, (N, dim)."""
    objects = join_objects(
        inputs.groups,
        lambda name, group: make.linear(group.rows, settings.dim, name=f"{name}_embed"),
    )
    bias = _attention_bias(inputs, objects, make, settings)
    token = ClassToken(seed=next(make.seeds), name="class_token")
    x = token(objects.x) if candidate is None else token(objects.x, candidate)
    x = Rows(name="tokens")(x)
    for number in range(1, settings.layers + 1):
        x = _block(
            x,
            bias,
            make,
            settings,
            tokens=objects.length + 1,
            last=number == settings.layers,  # computes the class token alone
            name=f"block_{number}",
        )
    return x


def _attention_bias(
    inputs: blocks.NetworkInputs, objects: JointObjects, make: blocks.Layers, settings: Transformer
) -> Any:
    """Return the bias of the attention logits: from the mask, and from pair features if chosen."""
    bias = AttentionBias(name="attention_bias")
    if not settings.pairwise:
        return bias(objects.real)
    names = settings.coordinates
    angles = raw_features(
        inputs.groups, (names.eta, names.phi), name="angles",
        bounds=(-LARGEST_ANGLE, LARGEST_ANGLE),
    )  # fmt: skip
    pt = raw_features(inputs.groups, (names.pt,), name="momenta", bounds=PT_BOUNDS)
    x, both_real = PairFeatures(name="pairs")(angles, pt, objects.real)
    x = Normalize(name="pairs_normalize")(x, both_real)
    x = make.tower(x, settings.pairs, name="pairs")
    return bias(objects.real, make.linear(x, settings.heads, name="pairs_heads"))


def _block(
    x: Any,
    bias: Any,
    make: blocks.Layers,
    settings: Transformer,
    *,
    tokens: int,
    last: bool,
    name: str,
) -> Any:
    """Apply self-attention and a feed-forward layer, both with a shortcut, to rows of tokens."""
    units = settings.heads * max(1, settings.dim // settings.heads)  # a multiple of the heads
    y = layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_attention_normalize")(x)
    y = make.linear(y, 3 * units, name=f"{name}_queries_keys_values")
    y = Attend(settings.heads, tokens, last, name=f"{name}_attend")(y, bias)
    y = make.linear(y, settings.dim, name=f"{name}_attended")
    if last:
        x = FirstObject(tokens, name=f"{name}_class")(x)
    x = layers.Add(name=f"{name}_add")([x, make.drop(y, name=f"{name}_attended")])
    y = layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_forward_normalize")(x)
    y = make.dense(y, settings.feed_forward, name=f"{name}_forward_1")
    y = make.linear(y, settings.dim, name=f"{name}_forward_2")
    return layers.Add(name=name)([x, make.drop(y, name=f"{name}_forward")])
