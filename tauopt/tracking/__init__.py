"""Trial records -> MLflow: written to disk first, then shipped in the background.

::

    spool            append a trial's records to a file on disk
    replay           send one spool to its MLflow run, from the last saved position
    shipper          background thread that replays the spools of all trials
    client           address of the store, and a client whose requests can't hang
    sqlite_store     addresses of artifacts and schema of the embedded SQLite store
    server           MLflow's server and web UI as a child process
    mlflow_pages     saved view and addresses of pages of the web UI
    runs             MLflow runs: create, end, find, log
    read_run         artifacts, metric histories and uids of runs
    run_artifacts    add, replace or remove files of a run
    dataset_input    the prepared dataset as an input of a run
    environment      versions, machine and git commit of a run
    markdown_notes   descriptions and tables of runs
    registry         model registry: versions, and the alias `champion`
    registry_turns   mutual exclusion between clients of a server
    model_packing    a `.keras` file as an MLflow model folder
    mlflow_limits    MLflow's limits of batches and names
    retries          retry requests with back-off
    self_test        check that the store can be written
"""
