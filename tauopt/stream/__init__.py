"""Prepared dataset -> shuffled, padded batches, and their way into TensorFlow.

::

    compiled    numba with a cache that may be missing
    padding     jagged rows -> (candidate, length, feature) and a mask
    order       the order of candidates in an epoch
    batches     a split -> batches, from any batch of an epoch on
    feed        batches -> tf.data

Only `feed` imports TensorFlow.
"""
