"""What `fit` trains: a network with the parts of a step that Keras has not."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tauopt.training.averages import Averages
from tauopt.training.learning_rate import LearningRate


class TrainStepModel(keras.Model):
    """A network whose steps keep a pace and average the weights."""

    pace: LearningRate | None = None
    averages: Averages | None = None

    def train_step(self, data: Any) -> Any:
        """Train on a batch."""
        if self.pace is not None:
            self.pace.advance(tf.shape(tf.nest.flatten(data)[0])[0])
        logs = super().train_step(data)
        if self.averages is not None:
            self.averages.update(self.optimizer.iterations - 1)
        return logs
