"""List the GPUs that TensorFlow sees, or hide them from it."""

from __future__ import annotations

import logging

import tensorflow as tf

logger = logging.getLogger(__name__)


def gpus() -> list[str]:
    """Return the names of the GPUs that TensorFlow sees, in TensorFlow's order."""
    devices = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(device) for device in devices]
    return [str(detail.get("device_name", "GPU")) for detail in details]


def hide_gpus() -> None:
    """Hide all GPUs from TensorFlow in this process, which trains nothing and needs none."""
    try:
        tf.config.set_visible_devices([], "GPU")
    except RuntimeError as error:  # TensorFlow has initialised its devices already
        logger.debug("TensorFlow keeps the devices that it has initialised: %s", error)
