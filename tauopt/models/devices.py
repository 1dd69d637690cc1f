"""The GPUs that TensorFlow sees."""

from __future__ import annotations

import tensorflow as tf


def gpus() -> list[str]:
    """Return the names of the GPUs that TensorFlow sees, the first one first."""
    devices = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(device) for device in devices]
    return [str(detail.get("device_name", "GPU")) for detail in details]
