"""tauopt: experiment-tracked hyperparameter search for tau-lepton classifiers.

A map of the code, from the top; each line imports only lines below it::

    cli          one file a verb: parses, calls one workflow, prints
    workflows    one function a verb: the Python API
    search       the Optuna study, Ray Tune's searcher and scheduler over it, the driver, the report
    deploy       judges a trial on the sealed test split and registers it
    training     one trial: build, fit, report, checkpoint, resume
    prepare      ntuples -> prepared dataset
    stream       prepared dataset -> padded batches
    models       input spec + hyperparameters -> Keras model with its preprocessing inside
    tracking     trial records -> MLflow
    evaluation   arrays -> metrics and figures
    cluster      Ray: started here or joined, and functions as its tasks
    simulate     Pythia 8 and a parametrised detector -> ntuples
    dataset      the prepared dataset's format: manifest, chunks, digests
    ntuples      ROOT (of candidates or of events), HDF5, Parquet, Feather files -> arrays
    config       experiment and dataset files -> checked, frozen settings and a search space
    physics      expressions and kinematics on arrays
    durable      atomic writes, digests, locks
    progress     how long work tells of itself
    quiet        TensorFlow kept from talking while it is imported
    errors       the tree of errors and their exit codes
"""

__version__ = "0.1.0"
