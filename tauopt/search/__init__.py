"""Search: Optuna proposes and prunes, Ray Tune executes, and the study holds the whole state.

::

    driver         one search from lock to leaderboard: study, Ray and MLflow together
    execution      one Tuner of Ray Tune, over the trials of the study
    tune_adapters  Ray Tune's searcher, scheduler and stopper, over `study.trial_queue`
    trainable      the worker: a process that trains trial after trial
    out_of_memory  lack of memory, by types of errors and the kernel's counter
    ray_resources  Ray's settings, and how many trials run at a time
    notify_command the user's command that is run when the search ends, stops or fails
    node_checks    the nodes of a cluster: same code, shared folder, dataset
    self_test      Ray, cluster and study storage, checked for `tauopt doctor`
"""
