"""A recorded search played again with other rules, without training.

::

    curve_table       learning curves of many trainings on several validation samples, and the truth
    recorded_search   curves of a finished search
    surrogate         curves of points that were not trained
    rules             what is played: objective, monitor, sampler, pruner, confirmation
    play              one search by one set of rules
    regret            how far the choices are from the best, over many searches
"""
