import numpy as np
import optuna
import pytest

from tauopt.errors import DataError
from tauopt.metrics.influence import PairedValue
from tauopt.replay.recorded_search import FEWEST, recorded_search
from tauopt.training.checkpoints import Checkpoint, save_checkpoint
from tauopt.training.trial_plan import trial_folder
from tests.replay.conftest import METRICS, SPACE

REPORTS = 3


def trained(folder, *, trials, reports=REPORTS):
    """A study whose trials have the checkpoints that trainings leave."""
    study = optuna.create_study(direction="maximize")
    for number in range(trials):
        trial = study.ask()
        trial.suggest_float("training.learning_rate", 1e-4, 1e-2, log=True)
        trial.suggest_categorical("model.activation", ["relu", "swish"])
        values = [3.0 + number + step / 10 for step in range(1, reports + 1)]
        paired = [PairedValue(value, np.full(8, 0.01, np.float32)) for value in values]
        history = [
            {"number": step, "candidates_seen": 100 * step, "val_loss": 1 / step}
            for step in range(1, reports + 1)
        ]
        state = {"training": {"history": history, "paired_values": list(map(str, paired))}}
        save_checkpoint(trial_folder(folder, number), Checkpoint(state, {}))
        study.tell(trial, values[-1])
    return study


def test_curves_are_those_that_the_trials_reported(tmp_path):
    study = trained(tmp_path, trials=FEWEST)
    table = recorded_search(study, tmp_path, space=SPACE, metric=METRICS[0])
    assert len(table.points) == FEWEST
    assert not table.has_truth
    curve = table.curve(4, sample=0)
    np.testing.assert_allclose(curve.values[0], [7.1, 7.2, 7.3])
    np.testing.assert_allclose(curve.loss, [1, 0.5, 1 / 3])
    assert table.points[4] == study.trials[4].params


def test_too_few_full_curves_are_refused_with_what_to_do(tmp_path):
    study = trained(tmp_path, trials=FEWEST - 1)
    with pytest.raises(DataError, match=r"expected at least 8.*search.pruner=null"):
        recorded_search(study, tmp_path, space=SPACE, metric=METRICS[0])
