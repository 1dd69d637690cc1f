"""Arrays -> metrics with statistical errors; knows neither files of ntuples nor networks.

::

    predictions             class probabilities of a split, with truth and weights
    estimate                a number with its 68 % interval; Wilson's interval
    roc                     the weighted ROC curve and its area
    background_rejection    background rejection at fixed signal efficiency
    named_metrics           the metric that an objective names; accuracies, confusion matrix
    standard_metrics        the standard set of metrics that every trial reports
    influence               influence of each candidate on a metric: paired errors at once
    ties                    what can't be told from the best on the same candidates
    log_loss                cross-entropy of what an objective separates, and of the classes
    expected_precision      how precisely an objective can be measured, before a training
    bootstrap               paired bootstrap of one metric of two networks
    paired_curves           paired bootstrap of whole ROC curves
    mcnemar                 McNemar's test, and Holm's correction for many tests
    permutation_importance  what is lost when a feature is permuted among candidates
    score_cuts              one cut on the score for each number of prongs and signal efficiency
    scored_trial            a score on some candidates, and which of them pass its working points
    variable_axes           bins in pT, eta, pile-up, prongs, decay mode
    binned_counts           efficiencies and rejections in bins, with errors
    efficiency_profiles     efficiency or rejection of working points in bins of a variable
    working_point_metrics   efficiency and rejection of working points over all bins
    metrics_table           the table of an evaluation: rows, JSON, CSV, Markdown
    trial_comparison        every metric of several trials, against the first one
    histogram               weighted histograms with under- and overflow; correlations
    pareto                  Pareto fronts
    working_points          cuts that are flat in pT and pile-up: derived, applied, their closure
"""
