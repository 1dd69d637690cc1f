from __future__ import annotations

from fractions import Fraction
from math import floor

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tauopt.config.settings.networks import DeepTau, DeepTauGroup, Tower
from tauopt.models.build_model import build_model, describe
from tauopt.models.deeptau import kernel_sizes
from tauopt.models.grid_layers import FillGrid, LeadingInCell
from tests.models.specs import SMALL, batch, spec_for, spec_of

RNG = np.random.default_rng(0)


def slow_grid(x, angles, real, *, cells, size):
    """Fill the grid of one candidate, object by object, with exact arithmetic."""
    grid = np.zeros((cells, cells, x.shape[1]), np.float32)
    filled = set()
    for values, (eta, phi), is_real in zip(x, angles, real, strict=True):
        low = -Fraction(cells, 2) * size
        place = floor((Fraction(eta) - low) / size), floor((Fraction(phi) - low) / size)
        if is_real and place not in filled and all(0 <= step < cells for step in place):
            filled.add(place)
            grid[place] = values
    return grid


@pytest.mark.parametrize(("cells", "size"), [(11, "0.02"), (21, "0.05"), (4, "0.1"), (1, "0.4")])
def test_the_grid_agrees_with_a_slow_reference(cells, size):
    size = Fraction(size)
    steps = RNG.integers(-3 * cells, 3 * cells, (40, 8, 2))  # quarters of cells: many at edges
    angles = [[[Fraction(int(step), 4) * size for step in pair] for pair in n] for n in steps]
    x = RNG.normal(size=(40, 8, 3)).astype(np.float32)
    real = np.arange(8) < RNG.integers(0, 9, 40)[:, None]
    layer = LeadingInCell(cells, float(size))
    cell, leads = layer(np.array(angles, np.float64).astype(np.float32), real)
    got = np.asarray(FillGrid(cells)(x.reshape(320, 3), cell, leads))
    for n in range(40):
        expected = slow_grid(x[n], angles[n], real[n], cells=cells, size=size)
        np.testing.assert_array_equal(got.reshape(40, cells, cells, 3)[n], expected)


def test_the_leading_object_stays_and_objects_outside_are_left_out():
    angles = np.array([[[0.0, 0.0], [0.004, -0.004], [0.11, 0.0], [-0.11, 0.0]]], np.float32)
    cell, leads = LeadingInCell(11, 0.02)(angles, np.ones((1, 4), bool))
    np.testing.assert_array_equal(cell, [[60, 60, -1, 5]])
    np.testing.assert_array_equal(leads, [True, False, False, True])


@pytest.mark.parametrize(
    ("cells", "expected"), [(1, []), (2, [2]), (3, [3]), (4, [3, 2]), (11, [3] * 5), (21, [3] * 10)]
)
def test_convolutions_end_at_one_cell(cells, expected):
    assert list(kernel_sizes(cells)) == expected
    assert cells - sum(size - 1 for size in kernel_sizes(cells)) == 1


def published(*layers: tuple[int, int]) -> int:
    """Count parameters of Keras's layers (inputs, units): kernel, bias, normalisation, PReLU."""
    return sum(inputs * units + 6 * units for inputs, units in layers)


def test_the_published_inputs_give_the_published_size():
    """In TauMLTools n features get 2.4 n units, reduced by 1.6 (candidate: 1.4) down to 1.2 n."""
    widths = {86: (207, 129, 104), 64: (154, 96, 77), 38: (92, 57, 46)}
    kinds = {"egamma": 86, "muon": 64, "hadron": 38}
    network = DeepTau(
        type="deeptau",
        groups={
            name: DeepTauGroup(length=5, objects=Tower(widths=widths[count]))
            for name, count in kinds.items()
        },
        cells=Tower(widths=(227, 141, 88, 64)),
        coordinates={"eta": "f1", "phi": "f2"},
    )
    assert network.candidate.sizes() == [104, 74, 52]
    assert network.merge.sizes() == [200] * 4
    spec = spec_of(network, candidate=43, groups=kinds, classes=("jet", "tau", "e", "mu"))
    kind_layers = [
        pair
        for count, units in widths.items()
        for pair in zip((count, *units), units, strict=False)
    ]
    cell_layers = [(227, 227), (227, 141), (141, 88), (88, 64)]
    total = 2 * published(*kind_layers, *cell_layers) + 15 * published((9 * 64, 64))
    total += published((43, 104), (104, 74), (74, 52))
    total += published((180, 200), *[(200, 200)] * 3) + 201 * 4
    assert total == 1_161_286  # "about 1.16 M"
    ours = describe(spec, network).parameters
    assert abs(ours / total - 1) < 0.01


def test_dense_layers_before_the_grid_equal_the_published_1x1_convolutions_on_it():
    """Compares values and gradients in the cells that hold an object."""
    changed = {"batch_normalization": False, "dropout": 0.0, "activation": "relu"}
    network = SMALL["deeptau"].model_copy(update=changed)
    spec = spec_for(network)
    model = build_model(spec, network, seed=1)
    names = ("preprocess", "inner_leading", "inner_grid", "inner_dense_1", "inner_dense_2")
    preprocess, leading, grid, *dense = (model.get_layer(f"tracks_{name}") for name in names)
    parts = keras.Model(model.inputs, [preprocess.output, *leading.output])
    rows, cell, leads = parts(batch(spec, size=200))
    filled = np.asarray(grid(tf.ones_like(rows[:, :1]), cell, leads))[:, 0] > 0
    assert 50 < filled.sum() < len(filled) / 2
    convolutions = []
    for layer in dense:
        layer.bias.assign(RNG.normal(size=layer.units))
        convolution = layers.Conv2D(layer.units, 1, activation="relu")
        convolution.build((None, 4, 4, layer.kernel.shape[0]))
        convolution.set_weights([layer.kernel.numpy()[None, None], layer.bias.numpy()])
        convolutions.append(convolution)
    slopes = RNG.normal(size=(filled.sum(), dense[-1].units)).astype(np.float32)

    def on_objects(x):
        return grid(dense[1](dense[0](x)), cell, leads)

    def on_cells(x):
        x = tf.reshape(grid(x, cell, leads), (-1, 4, 4, x.shape[-1]))
        return tf.reshape(convolutions[1](convolutions[0](x)), (-1, dense[1].units))

    results = []
    for way, chain in ((on_objects, dense), (on_cells, convolutions)):
        weights = [weight.value for layer in chain for weight in layer.weights]
        with tf.GradientTape() as tape:
            tape.watch(rows)
            y = tf.boolean_mask(way(rows), filled)
            loss = tf.reduce_sum(y * slopes)
        results.append([y, *tape.gradient(loss, [rows, *weights])])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, tf.reshape(b, a.shape), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(tf.boolean_mask(on_objects(rows), ~filled), 0)
