"""Export: a trial's model as files, and its scores in ntuples.

::

    model_files    ONNX and Keras files, and a JSON description of their inputs
    onnx_file      write and run ONNX files; the only importer of ONNX libraries
    export_check   compare an ONNX file with its Keras model, candidate by candidate
    scorer         columns of a friend tree: scores and working-point decisions
    score_files    a friend tree, or HDF5 or Parquet file, for each input file
    pyfunc_loader  how `mlflow.pyfunc.load_model` loads a registered version
"""
