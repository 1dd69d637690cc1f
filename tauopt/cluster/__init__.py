"""Ray's core: start it on this machine or join a cluster, and run functions as tasks.

::

    start       Ray for the length of a block
    tasks       a function on many tasks, each in one of Ray's processes
"""
