"""The Optuna study of a search: it alone says what is done, what was cut short and what is next.

::

    search_setup         what is searched and where; open the search's study
    starting_points      what is tried first: the literature's values, points of earlier searches
    open_study           create or open a study, refuse to continue it with something else
    provenance           what a study was made from, and what changed since
    study_storage        the studies' database: URL, connection, retries
    cached_storage       the driver's copy of its study in memory, written behind
    storage_views        the study as pruners and samplers see it
    decision_records     pruning decisions that outlive a killed driver
    trial_queue          proposals given out, reports taken, trials ended
    trial_attributes     what is kept of a trial beside its values
    suggest              search space -> parameters of a trial
    samplers, pruners    how trials are proposed and how they are stopped early
    racing               the pruner that stops only what is behind beyond errors
    hypermodel_space     define-by-run hyperparameters of a user's HyperModel
    hypermodel_check     a user's HyperModel checked before a search begins
    own_objective_check  a user's own objective called once before a search begins
    warm_trials          warm start: trials of an earlier search in the new space
    warm_start_record    warm start from several searches, the most alike first, and its file
    earlier_search       warm start from the records of earlier searches
    confirm_stage        the best points of a search are trained again on other seeds
    confirmed_points     means of those trainings, and what they are tied with
    budget               wall time and GPU time over all resumes
    control_requests     stop and extend a running search from another shell
    points_by_hand       points that users give to a search, from the request to the trial
    search_events        what a search reports while it runs
    best_first           order of complete trials, and which are tied
    leaderboard_rows     trials as rows, best first
    trial_runs           MLflow runs of a search
    mlflow_notes         notes, parameters and tables of these runs

_optuna_internals holds the private parts of Optuna that are needed.
"""
