"""Ntuples -> prepared dataset: select, label, split, shuffle out of core, fit constants, write.

::

    plan        expressions of a dataset file, parsed once
    split       which candidates train, validate and test
    sources     its input files
    identity    the digests that name the result, and what is taken from one file
    candidates  columns of some entries -> a block of candidates
    missing     NaN and infinite features
    blocks      candidates in memory
    parts       candidates on disk between the two passes, read piece by piece
    extract     what is taken from one file, kept for later preparations
    arrange     which chunk a candidate goes to, and whether its features are copied
    direct      features read from the source files while streaming
    space       room on the disk
    writer      one writer of a folder at a time
    weights     negative weights
    binning     bins in any variables
    reweight    the same spectrum for all classes, and proportions of them
    sizes       counts and weights by sample, class and bin
    spectra     of the balanced variables, before and after
    sampled     a sample of the training split, for quantiles
    moments     mean, spread and range in one pass
    constants   mean, spread, range and quantiles on the training split
    summary     constants as files to read
    tally       what is kept of each chunk to compare it
    reports     what is counted and compared while chunks are written
    validation  each chunk against the rest of its split
    survey      counts without writing anything
    streamed    candidates of other files, step by step, without preparing them
    first_pass  read one file
    collect     read all files that were not read before, here or in parallel
    second_pass balance, cut chunks, write
    kept        extracts of what was prepared
    prepare     all of it, in order
"""
