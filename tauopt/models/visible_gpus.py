"""The GPUs that TensorFlow sees."""

from __future__ import annotations

import logging

import tensorflow as tf

logger = logging.getLogger(__name__)


def gpus() -> list[str]:
    """Return the names of the GPUs that TensorFlow sees, the first one first."""
    devices = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(device) for device in devices]
    return [str(detail.get("device_name", "GPU")) for detail in details]


def hide_gpus() -> None:
    """Let TensorFlow see no GPU in this process: who only looks at a model takes none."""
    try:
        tf.config.set_visible_devices([], "GPU")
    except RuntimeError as error:  # it runs already, with what it has
        logger.debug("devices stay as they are: %s", error)
