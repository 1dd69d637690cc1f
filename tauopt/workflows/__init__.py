"""Workflows, the Python API: what each verb of the command line does, without parsing or printing.

Each imports heavy libraries inside its functions, so that wrong options are refused at once::

    prepare          a dataset file -> a prepared dataset; its survey; its chunks as ntuples
    record_dataset   figures of a prepared dataset, and its run in MLflow
    validate_data    digests of a prepared dataset, and the homogeneity of its chunks
    simulate         a simulated sample
    inspect          the tables and branches of ntuples
    propose_dataset  inspected ntuples -> a draft of a dataset file
    init             a first search space for a network
    models           the networks and their settings
    validate         experiment and dataset files without opening data
    search           a search: run, resume, dry run
    control          stop, resume, extend or confirm a search from elsewhere
    submit           a search as a batch job; `batch/` has the templates of its scripts
    train            one trial without Ray, from a file or with the settings of a recorded trial
    continue_training  a trial trained on from its last checkpoint
    reproduce        a trial trained again from its record
    status           the state of a search
    leaderboard      the trials of a search, best first
    report           figures and an HTML page of a search
    evaluate         a trial on its test split or on other ntuples
    compare          trials against each other
    promote          a trial to the champion of its registered model
    export           a model as ONNX and Keras files
    score            friend trees with a model's scores
    single_training  one training in this process and its MLflow run
    trial_dataset    the prepared dataset of a trial, prepared again where it is gone
    ui               the MLflow web UI
    sync             records on disk -> MLflow
    gc               the weights of trials outside the best ones
    backup           an output folder: backup and restore
    doctor           is this machine ready?
    paths            default folders
"""
