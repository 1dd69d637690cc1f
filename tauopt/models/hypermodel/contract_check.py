"""Check before the first trial that the user's own model fits the data, the task and the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from tauopt.config.experiment_file import ExperimentFile
from tauopt.config.settings.inputs import CANDIDATE, InputSpec, mask_name
from tauopt.config.settings.networks import OwnModel
from tauopt.config.settings.networks.hypermodel import HYPERPARAMETERS
from tauopt.errors import ConfigError, TauoptError, add_place_note, nearest
from tauopt.models.hypermodel.explore_hyperparameters import explore
from tauopt.models.hypermodel.hypermodel_network import (
    BuiltHyperModel,
    build,
    build_recorded,
    settle,
)
from tauopt.models.hypermodel.load_hypermodel import WrongModelError
from tauopt.models.hypermodel.recording_hyperparameters import (
    ChangedSpaceError,
    WrongHyperparameterError,
    answer_default,
    answer_within,
)

_ALLOWED_WHEN_COMPILED = {
    "batch_size", "epochs", "report_every", "class_balance", "early_stopping",
    "reduce_on_plateau", "class_weights", "batch_growth", "batch_growth_every",
    "max_batch_size", "ema", "precision", "jit_compile",
}  # fmt: skip
"""Settings of `training` that do not concern the optimizer or the loss of a compiled model."""
_CANDIDATES = 16
"""Random candidates on which the output is checked."""
_TOLERANCE = 1e-3
"""Allowed deviation of probabilities from 0 to 1, and of their sum from 1."""


@contextmanager
def errors_located_in(file: ExperimentFile) -> Iterator[None]:
    """Turn errors of the user's own model into errors at their place in the experiment file.

    Raises:
        ConfigError: the model, or a setting of it in the file, is wrong.
        Exception: the user's own code raised it; untouched, with the place added as a note.
    """
    try:
        yield
    except WrongHyperparameterError as error:
        raise ConfigError([file.problem(HYPERPARAMETERS + error.name, str(error))]) from error
    except WrongModelError as error:
        raise ConfigError([file.problem(error.setting, str(error))]) from error
    except ChangedSpaceError as error:
        raise ConfigError([file.problem("model.type", str(error))]) from error
    except TauoptError:
        raise
    except Exception as error:
        type_ = file.without_ranges.model.type
        add_place_note(error, file.problem("model.type", f"{type_} raised the error above"))
        raise


def check_own(file: ExperimentFile, settings: OwnModel, spec: InputSpec) -> OwnModel:
    """Build a model twice with its defaults, and check its hyperparameters, output and training.

    Args:
        file: the experiment; gives the places of problems.
        settings: the model's settings at one point of the file's space.
        spec: inputs and classes; preprocessing constants need not be fitted.
    Returns:
        settings with a value for each hyperparameter: the default, or the allowed value nearest
        to it.
    Raises:
        ConfigError: the model, or a setting of it in the file, is wrong.
        Exception: the user's own code raised it; untouched, with the place added as a note.
    """
    with errors_located_in(file):
        answer = answer_within(settings.hyperparameters, answer_default)
        first = build(settings, spec, answer, seed=0)
        settled = settle(settings, first)
        again = build_recorded(settled, spec, seed=1)
        if again.requests != first.requests:
            raise ChangedSpaceError(
                "build declares its hyperparameters in another way each time: it must depend on "
                "nothing but hp"
            )
        _check_names(settings, spec, first)
        _check_probabilities(settings.type, spec, first)
        check_training(file, first)
    return settled


def check_training(file: ExperimentFile, built: BuiltHyperModel) -> None:
    """Check that the file sets no optimizer and no loss for a compiled model, which has its own.

    Raises:
        ConfigError: the file does; lists every such setting.
    """
    if built.compiled is None:
        return
    given = {
        *(f"training.{name}" for name in file.skeleton["training"]),
        *(path for path in (*file.space, *file.inactive) if path.startswith("training.")),
    }
    message = (
        "the model is compiled and keeps its own optimizer and loss; leave this out, or leave "
        "compile out of build"
    )
    problems = [
        file.problem(path, message)
        for path in sorted(given)
        if path.split(".")[1] not in _ALLOWED_WHEN_COMPILED
    ]
    if built.compiled.has_schedule and "training.reduce_on_plateau" in given:
        message = "the model's optimizer has its own learning-rate schedule; leave this out"
        problems.append(file.problem("training.reduce_on_plateau", message))
    if problems:
        raise ConfigError(problems)


def _check_names(settings: OwnModel, spec: InputSpec, first: BuiltHyperModel) -> None:
    """Check that the model declares, somewhere in its space, each hyperparameter of the file."""
    missing = [name for name in settings.hyperparameters if name not in first.values]
    if not missing:
        return
    known = list(dict.fromkeys(request.name for request in explore(settings, spec, first)))
    for name in missing:
        if name not in known:
            raise WrongHyperparameterError(
                name,
                f"the model asks for no such hyperparameter{nearest(name, known)}; it asks for "
                + (", ".join(known) or "none"),
            )


def _random_inputs(spec: InputSpec) -> dict[str, npt.NDArray[Any]]:
    """Return random inputs by name, with padding of random length."""
    rng = np.random.default_rng(0)
    shape = (_CANDIDATES, len(spec.candidate.features))
    inputs: dict[str, npt.NDArray[Any]] = {CANDIDATE: rng.normal(0, 10, shape).astype(np.float32)}
    for name, length in spec.lengths.items():
        real = np.arange(length) < rng.integers(0, length + 1, (_CANDIDATES, 1))
        values = rng.normal(0, 10, (*real.shape, len(spec.group(name).features)))
        inputs[name] = (values * real[..., None]).astype(np.float32)
        inputs[mask_name(name)] = real
    return inputs


def _check_probabilities(type_: str, spec: InputSpec, built: BuiltHyperModel) -> None:
    """Check that the outputs for some random candidates are probabilities."""
    p = np.asarray(built.network(_random_inputs(spec), training=False))
    sums = p.sum(axis=1)
    if p.min() < -_TOLERANCE or not np.allclose(sums, 1.0, atol=_TOLERANCE):
        raise WrongModelError(
            f"the outputs of {type_} are no probabilities: between {p.min():.3g} and "
            f"{p.max():.3g}, with sums from {sums.min():.3g} to {sums.max():.3g}; expected 0 to 1, "
            "and sums of 1: end it in softmax, or a single output for two classes in sigmoid"
        )
