"""Input files of any format and layout -> flat arrays, all through one interface.

::

    source           the interface: what every kind of input file can do
    bad_files        errors of truncated, damaged and missing files
    file_formats     choose the source that reads a file
    input_globs      path patterns -> files
    input_digests    SHA-256 of files, remembered until a file changes
    remote           files on servers, copied into the cache
    root             TTrees and RNTuples of candidates, by
      root_files       opening and inspecting ROOT files with uproot
      baskets          the numbers of TTree baskets, decoded without uproot
      basket_headers   the keys of TTree baskets
      rntuple          what differs in RNTuples, and _uproot_internals
    friends          several trees, joined entry by entry
    event_trees      trees with one event an entry, by
      event_branches   the branches that a candidate's variables need
      event_columns    branches of events -> columns of candidates
      nested_columns   lists of lists as flat content and offsets
      associate        objects of a candidate: by index, ElementLink, cone or distance
      xaod             keys of xAOD ElementLinks
    hdf5             HDF5 files, by
      hdf5_parts       compound datasets and groups of plain ones
      hdf5_pandas      tables that pandas wrote
    arrow            Parquet and Feather
    friend           a ROOT friend tree of scores, and friend_formats for HDF5 and Parquet
    write_ntuples    flat ntuples for other tools
"""
