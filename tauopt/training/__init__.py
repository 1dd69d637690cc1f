"""One trial: build, fit, report, checkpoint, resume, evaluate.

::

    protocols    what a trial is told, what it reports, whom it tells
    devices      threads and GPU memory, before TensorFlow's first operation
    rungs        where in the data reports fall, and how batches grow
    losses       the loss, for Keras and for a validation split
    optimizers   settings -> Keras optimizer
    pace         the learning rate as a function of the candidates seen
    averages     the moving average of the weights
    precision    the network in half precision, or fit to be compiled
    trainee      the training step: Keras's, with pace and averages
    schedules    early stopping and the learning rate on a plateau
    checkpoints  durable, with checksum; the newest that is whole counts
    state        where a training stands, and which one it is
    fitting      a stretch of training: one call of `fit`
    prediction   class probabilities of a whole split
    material     the data and the network that a trial works with
    results      what a finished trial leaves behind
    files        names of what lies in its folder
    trial        all of it together
"""
