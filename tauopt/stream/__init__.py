"""Prepared dataset -> shuffled, padded batches -> TensorFlow.

::

    compiled_loops  compile loops with numba, cached on disk
    padding         jagged rows -> (candidate, length, feature) and a mask
    epoch_order     the order of candidates in an epoch
    batches         a split -> batches, from any batch of an epoch on
    tf_dataset      batches -> tf.data

Only `tf_dataset` imports TensorFlow.
"""
