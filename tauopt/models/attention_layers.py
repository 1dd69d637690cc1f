"""Layers of a transformer: class token, attention bias, multi-head attention, pair features."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tauopt.models.preprocessing import PACKAGE, full_precision

PADDING_LOGIT = -3e4
"""Added to the logits of padding: its exponential is 0, and it is finite also in float16."""
SMALLEST_DR = 1e-4
"""Smaller distances dR are set to this, so that ln dR is finite: also for an object and itself."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class ClassToken(keras.layers.Layer):
    """Prepend a learned class token to the objects; its final value describes the candidate.

    Call with the objects (N, object, dim) and, if the network sees the candidate's own features,
    their embedding (N, dim), which is added to the token; returns (N, 1 + object, dim).

    Args:
        seed: random seed of the token's initial value.
    """

    def __init__(self, seed: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed

    def build(self, x_shape: Any, candidate_shape: Any = None) -> None:
        """Create the token."""
        # Not zero: layer normalisation of a row of zeros, as of a candidate without any visible
        # input, has a large gradient.
        normal = keras.initializers.RandomNormal(stddev=0.02, seed=self.seed)
        self.token = self.add_weight(shape=(1, x_shape[-1]), initializer=normal, name="token")

    def call(self, x: Any, candidate: Any = None) -> Any:
        """Return the token, then the objects."""
        token = ops.zeros_like(x[:, 0]) if candidate is None else candidate
        return ops.concatenate([ops.expand_dims(token + self.token, 1), x], axis=1)

    def compute_output_shape(self, x_shape: Any, candidate_shape: Any = None) -> Any:
        """Return (N, 1 + object, dim)."""
        return (x_shape[0], x_shape[1] + 1, x_shape[2])

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable(package=PACKAGE)
class AttentionBias(keras.layers.Layer):
    """Compute the bias that is added to attention logits, so that nothing attends to padding.

    Call with the mask of the objects (N, object) bool, True = real object, and optionally a bias
    of each pair of objects and each head (N * object * object, head). Returns
    (N, 1, 1, 1 + object) or (N, head, 1 + object, 1 + object). Token 0 is the class token, which
    counts as real.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": full_precision()})

    def call(self, real: Any, pairs: Any = None) -> Any:
        """Return the bias."""
        mask = ops.where(real, 0.0, PADDING_LOGIT)
        mask = ops.pad(mask, ((0, 0), (1, 0)))[:, None, None, :]  # 0 for the class token
        if pairs is None:
            return mask
        length = real.shape[1]
        pairs = ops.transpose(
            ops.reshape(pairs, (-1, length, length, pairs.shape[-1])), (0, 3, 1, 2)
        )
        return ops.pad(pairs, ((0, 0), (0, 0), (1, 0), (1, 0))) + mask

    def compute_output_shape(self, real_shape: Any, pairs_shape: Any = None) -> Any:
        """Return (N, head or 1, query or 1, key)."""
        tokens = real_shape[1] + 1
        if pairs_shape is None:
            return (real_shape[0], 1, 1, tokens)
        return (real_shape[0], pairs_shape[-1], tokens, tokens)


@keras.saving.register_keras_serializable(package=PACKAGE)
class Attend(keras.layers.Layer):
    """Apply scaled dot-product attention with several heads to the tokens of each candidate.

    Call with queries, keys and values side by side, one row a token (N * token, 3 * unit), and
    the bias of the logits (N, head or 1, token or 1, token). Returns the attended values
    (N * token, unit), or (N, unit) with `first_only`.

    Args:
        heads: number of heads, which share the units evenly.
        tokens: tokens a candidate.
        first_only: compute the output of the first token, the class token, alone.

    Source: Vaswani et al., Attention is all you need, arXiv:1706.03762, equation 1.
    """

    def __init__(self, heads: int, tokens: int, first_only: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heads, self.tokens, self.first_only = heads, tokens, first_only

    def call(self, x: Any, bias: Any) -> Any:
        """Return the weighted means of the values."""
        units = x.shape[-1] // 3
        head_units = units // self.heads
        x = ops.reshape(x, (-1, self.tokens, 3, self.heads, head_units))
        # (query/key/value, N, head, token, unit)
        query, key, value = ops.unstack(ops.transpose(x, (2, 0, 3, 1, 4)), num=3, axis=0)
        if self.first_only:
            query = query[:, :, :1]
            bias = bias[:, :, :1]
        logits = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2))) * head_units**-0.5
        weights = ops.softmax(logits + ops.cast(bias, logits.dtype), axis=-1)
        means = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        return ops.reshape(means, (-1, units))

    def compute_output_shape(self, x_shape: Any, bias_shape: Any) -> Any:
        """Return (row, unit)."""
        return (None, x_shape[-1] // 3)

    def get_config(self) -> dict[str, Any]:
        """Return what `__init__` takes."""
        config = {"heads": self.heads, "tokens": self.tokens, "first_only": self.first_only}
        return {**super().get_config(), **config}


@keras.saving.register_keras_serializable(package=PACKAGE)
class PairFeatures(keras.layers.Layer):
    """Compute ln dR, ln kT and ln z of each pair of objects.

    kT = min(pT) dR and z = min(pT) / (pT + pT') of the two. Call with eta and phi
    (N, object, 2), pT (N, object, 1), above 0 where real, and the mask (N, object) bool. Returns
    the features (N * object * object, 3), zero where either object is padding, and the mask
    (N * object * object,) bool, True = both objects are real.

    Source: Qu, Li and Qian, Particle Transformer, arXiv:2202.03772, equation 3.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": full_precision()})

    def call(self, angles: Any, pt: Any, real: Any) -> Any:
        """Return the features and the mask of the pairs."""
        eta, phi = angles[..., 0], angles[..., 1]
        dr2 = ops.square(_pair_differences(eta)) + ops.square(_pair_differences(phi))
        ln_dr = 0.5 * ops.log(ops.maximum(dr2, SMALLEST_DR**2))
        ln_pt = ops.log(ops.where(real, pt[..., 0], 1.0))
        ln_min_pt = ops.minimum(ln_pt[:, :, None], ln_pt[:, None, :])
        # ln z = -d - ln(1 + exp(-d)) with d = |ln pT - ln pT'|: pT of any unit can't overflow.
        difference = ops.absolute(_pair_differences(ln_pt))
        ln_z = -difference - ops.log(1.0 + ops.exp(-difference))
        both_real = ops.logical_and(real[:, :, None], real[:, None, :])
        features = ops.stack([ln_dr, ln_min_pt + ln_dr, ln_z], axis=-1)
        features = ops.where(ops.expand_dims(both_real, -1), features, 0.0)
        return ops.reshape(features, (-1, 3)), ops.reshape(both_real, (-1,))

    def compute_output_shape(self, angles_shape: Any, pt_shape: Any, real_shape: Any) -> Any:
        """Return (N * object * object, 3) and (N * object * object,)."""
        return (None, 3), (None,)

    def compute_output_spec(self, angles: Any, pt: Any, real: Any) -> Any:
        """Return the specs of the features, float32, and of the mask, bool."""
        return (
            keras.KerasTensor((None, 3), dtype=self.compute_dtype),
            keras.KerasTensor((None,), dtype="bool"),
        )


def _pair_differences(x: Any) -> Any:
    """Return x_i - x_j of all pairs, (N, object) -> (N, object, object)."""
    return x[:, :, None] - x[:, None, :]
