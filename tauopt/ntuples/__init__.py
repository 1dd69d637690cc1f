"""Input files -> flat arrays, whatever their format and layout; all behind one interface.

::

    source          what every kind of file can do
    formats         which kind reads a file
    files, digests  globs, and what tells that a file has changed
    remote          files on servers, copied into the cache
    root            TTrees and RNTuples of candidates, by
      root_files      uproot, opened and looked into
      tree_reader     an open tree, read by ranges of entries
      baskets         the numbers of TTrees without uproot, and basket_headers
      rntuple         what differs in RNTuples, and rntuple_internals
    friends         several trees, joined entry by entry
    events          trees of events, by
      event_branches, event_columns, nested, associate, xaod
    hdf5            by hdf5_parts and hdf5_pandas
    arrow           Parquet and Feather, by arrow_types
    write           flat ntuples for other tools
"""
