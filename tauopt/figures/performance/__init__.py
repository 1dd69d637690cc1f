"""Figures of how well networks separate classes.

::

    trial_figures                  ROC curve, scores, confusion matrix, training of one trial
    trial_figure_set               these figures, saved
    evaluation_figures             all figures of an evaluation, one after another
    comparison_figures             all figures of a comparison of several trials
    roc_figures                    ROC curves with working points and ratios to a reference
    one_against_rest_figure        ROC curves of each class against all others
    profile_figures                efficiency or rejection in bins of a variable
    flatness_figure                how flat the efficiency of working points is
    closure_figure                 closure of working points on an independent sample
    calibration_figure             reliability diagram, expected calibration error
    overtraining_figure            scores in the training and the test split
    permutation_importance_figure  loss of AUC when a feature is permuted
"""
