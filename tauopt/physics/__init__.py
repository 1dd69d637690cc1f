"""Physics and statistics on arrays: no files, no settings.

::

    expressions        parse and evaluate expressions over branches, by
      branch_names       names in backticks
      expression_steps   the evaluation on a stack
      operators          operators, functions and reductions
      conjuncts          the parts of a condition that must all hold
    jagged             lists of numbers as flat content and offsets
    kinematics         angles and distances
    folds              the cross-validation fold of an event
    homogeneity        tests of parts of a sample against the rest
    separation         the separation of classes by one variable
    intervals          Clopper-Pearson intervals
    p_values           p-values of chi-squares and binomial splits
"""
