"""The prepared dataset's format on disk: manifest, memory-mapped chunks, digests.

The modules::

    manifest             what a prepared dataset holds, and the digest of every file
    chunk_writer         arrays -> one chunk on disk
    mapped_arrays        an array of a file, mapped into memory in any thread
    prepared_dataset     opens a dataset: chunks, splits, sealed test split
    network_inputs       manifest and task -> input spec, label map, class weights
    experiment_check     whether an experiment fits the dataset: classes and numbers of objects

The files::

    <cache>/prepared/<name>-<first 16 of digest>/
        manifest.json                   written last
        train-00000/                    one folder a chunk; validation-..., test-... alike
            labels.npy                  int16 (candidate), index into the manifest's classes
            weights.npy                 float32 (candidate)
            event_numbers.npy           int64 (candidate)
            candidate.npy               float32 (candidate, feature)
            <group>.values.npy          float32 (object, feature)
            <group>.offsets.npy         int64 (candidate + 1)
            spectators.npy              float32 (candidate, spectator)

A chunk of a directly streamed dataset has, instead of `candidate` and the groups::

            files.npy                       int32 (candidate), index into the manifest's sources
            entries.npy                     int64 (candidate), entry in that file

All values are physical, without transforms; objects are neither padded nor clipped.
"""
