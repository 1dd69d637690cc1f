"""The search: Optuna proposes and prunes, Ray Tune executes, and the study is the truth.

After any crash the study alone says what is done, what was cut short and what comes next::

    study      open or create the study, what it was made from, refusal of changes
    suggest    search space -> parameters of an Optuna trial, in file order
    samplers   how trials are proposed          pruners   how trials are stopped
    trials     the bookkeeping between Ray's trials and the study's (no Ray in it)
    searcher, scheduler    Ray Tune's two thin adapters over `trials`
    trainable  one warm worker that trains trial after trial
    cluster    Ray started in-process, or joined
    runs       MLflow follows the study, in a thread of its own
    driver     all of them together
"""
