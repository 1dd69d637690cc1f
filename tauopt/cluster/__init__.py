"""Ray Core: start it on this machine or join a cluster, run functions, copy folders.

::

    start_ray       start or join Ray for the length of a block
    ray_tasks       run a function on many inputs, in parallel worker processes
    node_functions  run a function once on each node
    folder_copies   copy a folder to a node that does not share the disk
    _internals      switch private settings of Ray
"""
