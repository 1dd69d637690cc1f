"""Command line: one module for each verb, which parses, calls one workflow and prints.

Besides the verbs::

    app                register the verbs, run one, turn errors into exit codes
    options            options that several verbs share
    console            standard streams: results to stdout, progress to stderr
    live_display       trials of a search while they run
    leaderboard_table  ranked trials as a table
    interruptible      work that the same command resumes
"""
