"""Simulated ntuples: Pythia 8, a parametrised detector, and tau reconstruction.

::

    simulated_sample     a folder of ROOT files, continued where an earlier run stopped
    worker_pool, worker  several files in parallel, one process each
    sample_plan          the files of a sample: slices of the hard process, numbers, seeds
    simulate_file        one file: batches of events until it has its candidates
    events               batches of gamma*/Z -> tau tau or dijet events
    generator            Pythia 8; no other file imports it
    taus                 true hadronic taus and their decays
    particles            final-state particles of a batch
    conversions          photon conversions in the tracker's material
    tracks               track parameters, efficiency, resolution, hits
    calorimeter          shower parts that particles leave in the calorimeter
    pileup               soft deposits and tracks from pile-up and the underlying event
    jets                 FastJet: anti-kT jets; no other file imports it
    clusters             calorimeter clusters, and neutral particle-flow objects
    tau_candidates       seeds -> reconstructed tau candidates
    candidate_variables  identification variables of a candidate
    truth                matching to true taus; selection
    branches             candidates -> branches of the ntuple, in MeV
    columns              arrays over the same rows, and sums by group
"""
