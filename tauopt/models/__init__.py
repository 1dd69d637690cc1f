"""Neural networks: an input spec and hyperparameters become a Keras model.

A model takes physical quantities in their units, (candidate, object, variable) with an explicit
mask, preprocesses them in its own graph, and returns class probabilities. Nothing beside the saved
model is needed to use it.

::

    build_model           network settings -> Keras model; the entry point of this package
    hyperparameters       fields of a settings class -> hyperparameters of KerasTuner
    rnn, deepsets, dense, transformer, particlenet, deeptau    one network a file
    blocks                inputs, dense layers, towers and output heads that all networks share
    preprocessing         raw features -> scaled features, zero where masked
    batch_normalization   batch normalisation over real objects only
    object_layers         masked operations on the objects of a candidate: sum, reverse, flatten
    joint_objects         the objects of all groups, concatenated, for the next three
    attention_layers      layers of the transformer
    neighbour_layers      layers of ParticleNet
    grid_layers           layers of DeepTau
    recurrent             LSTM and GRU layers that are fast on a CPU too
    output_scores         scores computed from the class probabilities, saved with the model
    model_file            saves models; loads them without running code from the file
    keras_archive         checks the members of a `.keras` archive, and its weights
    devices               threads and GPUs of a process
    hypermodel            the user's own KerasTuner HyperModels
"""
