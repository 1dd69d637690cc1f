"""Ray's core: start it on this machine or join a cluster, run functions, copy folders.

::

    start       Ray for the length of a block
    tasks       a function on many tasks, each in one of Ray's processes
    nodes       a function once on each node
    copies      a folder to a node that does not see it
    _internals  private parts of Ray that are set
"""
