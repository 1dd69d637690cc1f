"""Evaluation: run trials over candidates that no search has seen.

::

    find_trial            find a trial by run id, registered version or folder
    pruned_trial          results of a pruned trial, made of its last checkpoint
    trial_origin          settings, seed and folder of a trial of any state
    recorded_trial        a trial from its record: model file, result, learning curves
    predict               run a model over candidates: `predict(model, candidates)`
    split_candidates      candidates of a prepared dataset's split
    file_candidates       candidates of ntuples, streamed
    run_trial             run trials, alone or against each other; selections on spectators
    evaluation_sources    candidates and comparisons, from the options of `tauopt evaluate`
    score_table           stored scores of another network: a spectator or a CSV file
    model_working_points  working points of a model: recorded, or derived
    evaluation_inputs     all that the figures and tables of an evaluation need
    comparison_report     differences between trials, and the report in Markdown
"""
