"""tauopt: experiment-tracked hyperparameter search for tau-lepton classifiers.

A map of the code, from the top; each line imports only lines below it, and rooms on one line don't
know each other::

    cli          one file a verb: parses, calls one workflow, prints
    workflows    one file a verb: the Python API
    search       Ray Tune over the study: driver, adapters, workers, nodes
    report       figures, tables and the HTML page of a search
    promotion    a trial judged on the sealed test split, and registered as the champion
    export       models for other software: ONNX files, scores in ntuples
    replay       a recorded search played again with other rules, without training
    evaluation   a recorded trial: fetched, run over candidates, compared, explained
    study        the Optuna study, which is the truth: trials, samplers, pruners, leaderboard
    training     one trial: build, fit, report, checkpoint, resume
    prepare      ntuples -> prepared dataset
    stream       prepared dataset -> padded batches
    models       input spec + hyperparameters -> Keras model with its preprocessing inside
    tracking     trial records -> MLflow
    figures      arrays -> figures and their points
    simulate     Pythia 8 and a parametrised detector -> ntuples
    cluster      Ray: started here or joined, and functions as its tasks
    metrics      arrays -> numbers with errors: ROC curves, working points, bootstrap
    dataset      the prepared dataset's format: manifest, chunks, digests
    ntuples      ROOT (of candidates or of events), HDF5, Parquet, Feather files -> arrays
    config       experiment and dataset files -> checked, frozen settings and a search space
    physics      expressions and kinematics on arrays
    durable      atomic writes, digests, locks
    progress     progress of long work, for whoever shows it
    own_code     functions and classes of the user's own
    quiet        TensorFlow kept from printing while it is imported
    errors       the tree of errors and their exit codes

Where is what::

    a setting's name, bounds and default      config/settings/experiment, config/settings/networks/*
    ranges and conditions of a search space   config/settings/ranges, config/space/*
    the message about a wrong file            config/settings/problems, config/checks/*
    a network's layers                        models/rnn, deepsets, ... and models/*_layers
    transforms and constants of features      models/preprocessing, fitted in prepare/constants
    train, validation and test split          prepare/event_split, physics/folds
    shuffling and chunks                      prepare/out_of_core_shuffle, prepare/second_pass
    weights, reweighting, resampling          prepare/reweight, prepare/resample
    padding and masks                         stream/padding
    optimizers, schedules, early stopping     training/optimizers, learning_rate, early_stopping
    the training loop, checkpoints, resume    training/train_trial, training/checkpoints
    samplers, pruners (ASHA), warm start      study/samplers, study/pruners, study/warm_trials
    the leaderboard                           study/leaderboard_rows
    Ray's workers, searcher and scheduler     search/trainable, search/tune_adapters
    what MLflow is given, and when            tracking/spool -> shipper -> replay
    ROC curves and rejections, with errors    metrics/roc, metrics/background_rejection
    working points                            metrics/working_points/*
    constraints, own objectives               metrics/constraint_values, own_metric
    the promotion gate, the champion          promotion/promotion_gate, champion_comparison
    ONNX export, friend trees of scores       export/onnx_file, export/score_files
    threads and GPUs                          models/devices
"""

__version__ = "0.1.0"
