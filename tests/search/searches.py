"""Small searches: an experiment file over the prepared factory's features, and its setup."""

import json
import textwrap

from tauopt.config.load import read_experiment
from tauopt.study.provenance import Provenance
from tauopt.study.search_setup import SearchSetup
from tests.prepared_factory import prepared_dataset

EXPERIMENT = """
name: toy
data:
  name: toy
  samples: {{all: {{files: ["*.root"], classes: [jet, 1p0n, 1p1n, 1pXn, 3p0n, 3pXn]}}}}
  classes: {{jet: "c == 0", 1p0n: "c == 1", 1p1n: "c == 2", 1pXn: "c == 3", 3p0n: "c == 4", 3pXn: "c == 5"}}
  split: {{train: "event_number % 10 < 6", validation: "event_number % 10 == 6 || event_number % 10 == 7", test: "event_number % 10 > 7"}}
  candidate:
    cent_frac: {{}}
    et_over_pt_lead_trk: {{}}
    dr_max: {{}}
    sum_pt_trk_frac: {{}}
    pt_jet_seed: {{}}
    n_tracks: {{}}
    mass_trk_sys: {{}}
  spectators: {{pt: pt, eta: eta, mu: mu, prongs: prongs}}
task:
  classes: {{jet: [jet], tau: [1p0n, 1p1n, 1pXn, 3p0n, 3pXn]}}
  signal: [tau]
model:
  type: dense
  layers: 1
  units: {{int: [4, 16], log: true}}
training:
  learning_rate: {{float: [1.0e-3, 1.0e-2], log: true}}
  batch_size: 256
  epochs: {epochs}
objective: {{maximize: auc}}
search:
  trials: {trials}
  sampler: {{type: random, seed: 3}}
  pruner: {{type: {pruner}, reduction_factor: 2}}
  resources: {{cpus: 1, concurrent: {concurrent}}}
  max_failures: 3
"""  # noqa: E501


def write_experiment(folder, *, trials=4, epochs=2, pruner="none", concurrent=2):
    path = folder / "toy.yaml"
    text = EXPERIMENT.format(trials=trials, epochs=epochs, pruner=pruner, concurrent=concurrent)
    path.write_text(textwrap.dedent(text))
    return path


def make_setup(
    folder, *, dataset=None, resume=False, accept_changes=False, overrides=(), **settings
):
    file = read_experiment(write_experiment(folder, **settings), overrides=overrides)
    return SearchSetup(
        name="toy",
        output=folder / "out",
        file=file,
        dataset=dataset or prepared_dataset(folder, candidates=200),
        origin=Provenance(
            file.digest, json.dumps(file.definition, indent=1, sort_keys=True), "d1", "code", ""
        ),
        reports=3,
        resume=resume,
        accept_changes=accept_changes,
        resume_command="tauopt search toy.yaml --resume",
    )
