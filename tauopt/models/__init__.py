"""Networks: an input spec and hyperparameters become a Keras model with its preprocessing inside.

A model takes physical quantities in their units, (candidate, object, variable) with an explicit
mask, and gives class probabilities. Nothing beside the saved model is needed to use it.

::

    build            settings -> model, through KerasTuner's hyperparameters (hyperparameters)
    rnn, deepsets, dense, transformer, particlenet, deeptau    the networks
    blocks           what all of them are built of: inputs, towers, the output
    preprocessing, normalization, objects, recurrent    layers of several networks
    together, attention, neighbours, grids              layers over all objects at once
    own              HyperModels of the user's own
    saving           models on disk, loaded without running what they bring
"""
