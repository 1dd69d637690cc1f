"""Ntuples -> prepared dataset: select, label, split, shuffle out of core, fit constants, write.

What is called from outside::

    prepare_dataset      the whole preparation, in order
    count_candidates     counts by split and class, without writing anything
    direct_streaming     opens a prepared dataset; reads features from the source files where due
    stream_files         candidates of other files, step by step, without preparing them
    inference_features   features of any file, without truth, for a network to score

First pass, file by file::

    dataset_expressions  expressions of a dataset file, parsed once
    event_split          train, validation and test split, by event number or fold
    input_files          the input files: digests, headers, entries, problems
    dataset_digests      the digests that name a prepared dataset and an extract
    collect_extracts     all extracts of a dataset; reads files without one, here or in parallel
    first_pass           reads one file into an extract
    label_candidates     columns of some entries -> a block of labelled candidates
    missing              NaN and infinite features: error, drop or impute
    left_out             counts of candidates that were left out, by cause and class
    candidate_blocks     candidates in memory
    spill_files          candidates on disk between the two passes, read piece by piece
    extract              what the first pass keeps of one file, for this and later preparations
    folder_writer        lock and disk space of a folder to be written

Second pass, chunk by chunk::

    second_pass          balances, cuts chunks, writes
    out_of_core_shuffle  final order of the candidates: shuffled, or slices for direct streaming
    binning              bins in any number of variables
    reweight             balance by weights: spectra and proportions of the classes
    resample             balance by counts: how often each candidate is drawn
    resample_draws       the drawn training split, counted and arranged
    running_statistics   moments and a sample for quantiles, in one pass
    constants            shift, spread and clip bounds of features, fitted on the training split
    training_summary     constants and statistics as files to read
    feature_warnings     warnings of constant, far-out and leaking features
    spectra              spectra of the balanced variables, before and after
    chunk_histograms     counts in bins by which chunks are compared
    chunk_validation     tests whether each chunk is a random sample of its split
    chunk_reports        the reports beside the chunks: sizes and validation
"""
