"""Is a model of the user's own what it should be? Asked before the first trial."""

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
from tauopt.models.hypermodel.hypermodel_network import BuiltHyperModel, build
from tauopt.models.hypermodel.load_hypermodel import WrongModelError
from tauopt.models.hypermodel.recording_hyperparameters import (
    ChangedSpaceError,
    WrongHyperparameterError,
    default,
    heeding,
)
from tauopt.models.hypermodel.settled_hypermodel import build_recorded, settle

_OURS = {"batch_size", "epochs", "report_every", "class_balance", "early_stopping"}
_OURS |= {"reduce_on_plateau", "class_weights", "batch_growth", "batch_growth_every"}
_OURS |= {"max_batch_size", "ema", "precision", "jit_compile"}
"""Settings of `training` that a compiled model does not bring itself."""
_CANDIDATES = 16
_TOLERANCE = 1e-3


@contextmanager
def placed(file: ExperimentFile) -> Iterator[None]:
    """Tell what is wrong with a model of the user's own at its place in the experiment file.

    Raises:
        ConfigError: the model, or what the file says of it, is wrong.
        Exception: the user's own code raised it; untouched, with the place noted beside it.
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


def check_own(file: ExperimentFile, own: OwnModel, spec: InputSpec) -> OwnModel:
    """Build a model with its defaults, twice, and look at it from all sides.

    Args:
        file: says what is fixed or narrowed, and where.
        own: the model of one point of the file's space.
        spec: what it sees; constants need not be fitted.
    Returns:
        its settings with every hyperparameter a value: the default, or what is nearest to it.
    Raises:
        ConfigError: the model, or what the file says of it, is wrong.
        Exception: the user's own code raised it; untouched, with the place noted beside it.
    """
    with placed(file):
        first = build(own, spec, heeding(own.hyperparameters, default), seed=0)
        settled = settle(own, first)
        again = build_recorded(settled, spec, seed=1)
        if again.questions != first.questions:
            raise ChangedSpaceError(
                "build declares its hyperparameters in another way each time: it must depend on "
                "nothing but hp"
            )
        _check_names(own, spec, first)
        _check_probabilities(own, spec, first)
        check_training(file, first)
    return settled


def check_training(file: ExperimentFile, built: BuiltHyperModel) -> None:
    """Check that a compiled model is not given an optimizer or a loss by the file too.

    Raises:
        ConfigError: it is; names every such setting.
    """
    if built.compiled is None:
        return
    given = {
        *(f"training.{name}" for name in file.skeleton["training"]),
        *(path for path in (*file.space, *file.inactive) if path.startswith("training.")),
    }
    keeps = "the model is compiled and keeps its own optimizer and loss"
    problems = [
        file.problem(path, f"{keeps}; leave this out, or leave compile out of build")
        for path in sorted(given)
        if path.split(".")[1] not in _OURS
    ]
    if built.compiled.has_schedule and "training.reduce_on_plateau" in given:
        message = "the model's own learning rate follows a schedule; leave this out"
        problems.append(file.problem("training.reduce_on_plateau", message))
    if problems:
        raise ConfigError(problems)


def _check_names(own: OwnModel, spec: InputSpec, first: BuiltHyperModel) -> None:
    """Check that the model asks, somewhere in its space, for all that the file names."""
    unseen = [name for name in own.hyperparameters if name not in first.values]
    if not unseen:
        return
    known = list(dict.fromkeys(question.name for question in explore(own, spec, first)))
    for name in unseen:
        if name not in known:
            raise WrongHyperparameterError(
                name,
                f"the model asks for no such hyperparameter{nearest(name, known)}; it asks for "
                + (", ".join(known) or "none"),
            )


def _some_candidates(spec: InputSpec) -> dict[str, npt.NDArray[Any]]:
    """Return random inputs by name."""
    rng = np.random.default_rng(0)
    shape = (_CANDIDATES, len(spec.candidate.features))
    inputs: dict[str, npt.NDArray[Any]] = {CANDIDATE: rng.normal(0, 10, shape).astype(np.float32)}
    for name, length in spec.lengths.items():
        real = np.arange(length) < rng.integers(0, length + 1, (_CANDIDATES, 1))
        values = rng.normal(0, 10, (*real.shape, len(spec.group(name).features)))
        inputs[name] = (values * real[..., None]).astype(np.float32)
        inputs[mask_name(name)] = real
    return inputs


def _check_probabilities(own: OwnModel, spec: InputSpec, built: BuiltHyperModel) -> None:
    """Check the output for a few random candidates."""
    found = np.asarray(built.network(_some_candidates(spec), training=False))
    sums = found.sum(axis=1)
    if found.min() < -_TOLERANCE or not np.allclose(sums, 1.0, atol=_TOLERANCE):
        raise WrongModelError(
            f"the outputs of {own.type} are no probabilities: between {found.min():.3g} and "
            f"{found.max():.3g}, with sums from {sums.min():.3g} to {sums.max():.3g}; expected 0 "
            "to 1, and sums of 1: end it in softmax, or one output of two in sigmoid"
        )
