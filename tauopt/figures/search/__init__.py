"""Figures of a search.

::

    best_value_figure                best value against trials, and against compute spent
    learning_curves_figure           the objective at every report of each trial
    pareto_front_figure              two objectives and their Pareto front
    parallel_coordinates_figure      all hyperparameters side by side
    slices_figure                    the objective against each hyperparameter
    hyperparameter_importance_figure which hyperparameters matter
    timeline_figure                  which trial ran when
    trial_points                     trials as these figures take them
    parameter_axis                   the axis of a hyperparameter
    parameter_names                  short names and values of hyperparameters
    search_style                     marks of trials, axes of values, panels
"""
