"""The user's own models: KerasTuner HyperModels, run unmodified on our data.

::

    load_hypermodel            `package.module:Class` -> the function that builds the model
    recording_hyperparameters  KerasTuner's `hp`: records each request, and returns our answer
    hyperparameter_options     the values that a hyperparameter may have, and narrowing them
    hypermodel_network         our preprocessing + the user's model -> class probabilities
    compiled_model             the optimizer and loss of a model that its author compiled
    contract_check             checks before the first trial
    explore_hyperparameters    lists a model's hyperparameters by building it at many points
"""
