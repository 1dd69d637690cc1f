"""Studies with the records that trials and drivers leave, at times that a test chooses."""

import json
from datetime import datetime, timedelta

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from tauopt.durable import write_json
from tauopt.study.open_study import OBJECTIVES, TRIALS
from tauopt.study.trial_attributes import DUPLICATE_OF, REASON
from tauopt.training.trial_plan import trial_folder

START = datetime(2026, 3, 1, 12, 0, 0)
"""Second 0 of every study; local time, as Optuna stores it."""
OBJECTIVE = "rejection@0.75"
DEFINITION = {
    "data": {"name": "toy"},
    "task": {"classes": {"jet": ["jet"], "tau": ["1p0n"]}, "signal": ["tau"]},
    "search": {"pruner": {"type": "asha", "min_reports": 1, "reduction_factor": 2}},
}
SPACE = {
    "model.cell": CategoricalDistribution(("lstm", "gru")),
    "model.units": IntDistribution(4, 64, log=True),
    "model.dropout": FloatDistribution(0.0, 0.4),
    "training.learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
}


class RecordedStudy:
    """A study and its folder, filled trial by trial."""

    def __init__(self, folder, *, objectives=(OBJECTIVE,), requested=9, name="toy"):
        self.folder = folder / "searches" / name
        self.folder.mkdir(parents=True)
        directions = ["maximize", *["minimize"] * (len(objectives) - 1)]
        self.study = optuna.create_study(
            study_name=name, storage=f"sqlite:///{folder}/studies.db", directions=directions
        )
        self.study.set_user_attr(OBJECTIVES, list(objectives))
        self.study.set_user_attr(TRIALS, requested)
        self.study.set_user_attr("tauopt.text", json.dumps(DEFINITION))
        (self.folder / "run").mkdir()

    def driver(self, begin, end=None):
        """Record that a driver began and, unless it is killed, ended; seconds after `START`."""
        self._record(self.folder / "run", begin, kind="start", params={}, tags={})
        if end is not None:
            self._record(self.folder / "run", end, kind="tags", tags={})

    def trial(self, state, values=(), *, ask=None, end=None, params=None, others=(), plan=True,
              repeats=None, reason="", attributes=None):  # fmt: skip
        """Add a trial to the study with these values at reports 1, 2, ...; return its number."""
        number = len(self.study.trials)
        params = {} if params is None else params
        best = max(values, default=0.0)
        finals = {
            TrialState.COMPLETE: [best, *others],
            TrialState.PRUNED: list(values[-1:]) if not others else None,
        }
        self.study.add_trial(
            FrozenTrial(
                number=number, trial_id=0, state=state, value=None, values=finals.get(state),
                datetime_start=None if ask is None else at(ask),
                datetime_complete=None if end is None else at(end),
                params=params, distributions={path: SPACE[path] for path in params},
                user_attrs={
                    **({DUPLICATE_OF: repeats} if repeats is not None else {}),
                    **({REASON: reason} if reason else {}),
                    **(attributes or {}),
                },
                system_attrs={}, intermediate_values=dict(enumerate(values, start=1)),
            )
        )  # fmt: skip
        if plan and repeats is None:
            resources = {"cpus": 2.0, "gpus": 0.5}
            folder = trial_folder(self.folder, number)
            folder.mkdir(exist_ok=True)
            write_json(folder / "trial.json", {"experiment": {"search": {"resources": resources}}})
        return number

    def begins(self, number, time, **tags):
        """Record that a trial's network was built, at its start or after an interruption."""
        folder = trial_folder(self.folder, number)
        self._record(folder, time, kind="start", params={}, tags=tags)

    def reports(self, number, time, seen, value, *, pace=10.0):
        """Record a report."""
        values = {
            "candidates_seen": seen, "candidates_per_s": pace, OBJECTIVE: value,
            f"{OBJECTIVE}_low": 0.9 * value, f"{OBJECTIVE}_high": 1.2 * value,
        }  # fmt: skip
        folder = trial_folder(self.folder, number)
        self._record(folder, time, kind="metrics", step=seen, values=values)

    def _record(self, folder, time, **record):
        folder.mkdir(exist_ok=True)
        path = folder / "records.jsonl"
        count = len(path.read_text().splitlines()) if path.exists() else 0
        milliseconds = round(1000 * seconds_at(time))
        line = json.dumps({"number": count + 1, "time_ms": milliseconds, **record})
        with path.open("a") as stream:
            stream.write(line + "\n")


def at(time):
    """The local time so many seconds after the start, as Optuna stores it."""
    return START + timedelta(seconds=time)


def seconds_at(time):
    """The same time in seconds since 1970."""
    return at(time).timestamp()


def trained(search, state, values, *, ask, ready, every=10.0, size=100, **kwargs):
    """Add a trial that reported every so many seconds and then ended; return its number."""
    end = ready + every * len(values)
    number = search.trial(state, values, ask=ask, end=end, **kwargs)
    search.begins(number, ready)
    for index, value in enumerate(values, start=1):
        search.reports(number, ready + every * index, size * index, value)
    return number


def eventful(folder):
    """A search with trials of every fate, killed once and stopped once.

    It is known what each second was used for.

    Driver 1 lives from 0 to its kill, of which the last sign is at 70; driver 2 from 100 to 200,
    when it is stopped; driver 3 from 300 to 400.
    """
    search = RecordedStudy(folder)
    search.driver(0)
    point = {"model.units": 8, "training.learning_rate": 1e-3}
    trained(search, TrialState.COMPLETE, [10, 30, 20], ask=1, ready=5, params=point)
    trained(search, TrialState.PRUNED, [4], ask=36, ready=40, params={"model.units": 16})
    failed = search.trial(TrialState.FAIL, [], ask=51, end=70, reason="<b>the loss</b> became nan")
    search.begins(failed, 55)
    # Reports at 60, killed with the driver at 70; again from its report, stopped at 200, ended.
    cut = search.trial(
        TrialState.COMPLETE, [20, 40, 50], ask=40, end=340, params={"model.units": 9}
    )
    search.begins(cut, 45)
    search.reports(cut, 60, 100, 20)
    search.driver(100, 200)
    search.begins(cut, 110)
    search.reports(cut, 110, 100, 20)
    search.reports(cut, 150, 200, 40)
    search.driver(300, 400)
    search.begins(cut, 310)
    search.reports(cut, 310, 200, 40)
    search.reports(cut, 340, 300, 50)
    search.trial(TrialState.COMPLETE, [10, 30, 20], ask=341, end=341, params=point, repeats=0)
    return search
