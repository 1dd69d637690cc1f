"""Studies with the records that trials and drivers leave, at times that a test chooses."""

import json
from datetime import datetime, timedelta

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from tauopt.durable import write_json
from tauopt.study.open_study import OBJECTIVES, TRIALS
from tauopt.study.trial_queue import DUPLICATE_OF, REASON
from tauopt.training.trial_plan import trial_folder

START = datetime(2026, 3, 1, 12, 0, 0)
"""When the clock of a study stands at zero; local time, as Optuna's."""
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


class Told:
    """A study and its folder, filled trial by trial."""

    def __init__(self, folder, *, objectives=(OBJECTIVE,), asked=9, name="toy"):
        self.folder = folder / "searches" / name
        self.folder.mkdir(parents=True)
        directions = ["maximize", *["minimize"] * (len(objectives) - 1)]
        self.study = optuna.create_study(
            study_name=name, storage=f"sqlite:///{folder}/studies.db", directions=directions
        )
        self.study.set_user_attr(OBJECTIVES, list(objectives))
        self.study.set_user_attr(TRIALS, asked)
        self.study.set_user_attr("tauopt.text", json.dumps(DEFINITION))
        (self.folder / "run").mkdir()

    def driver(self, begin, end=None):
        """Let a driver begin, and if it is not killed end, so many seconds after the start."""
        self._record(self.folder / "run", begin, kind="start", params={}, tags={})
        if end is not None:
            self._record(self.folder / "run", end, kind="tags", tags={})

    def trial(self, state, values=(), *, ask=None, end=None, params=None, others=(), plan=True,
              repeats=None, reason="", attributes=None):  # fmt: skip
        """Add a trial to the study: reports 1, 2, ... of these values; its number."""
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
        """Record that a trial's network stands, at its start or after an interruption."""
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
    """The local time so many seconds after the start, as Optuna notes it."""
    return START + timedelta(seconds=time)


def seconds_at(time):
    """The same in seconds since 1970."""
    return at(time).timestamp()


def trained(told, state, values, *, ask, ready, every=10.0, size=100, **kwargs):
    """Add a trial that reported every so many seconds and then ended; its number."""
    end = ready + every * len(values)
    number = told.trial(state, values, ask=ask, end=end, **kwargs)
    told.begins(number, ready)
    for index, value in enumerate(values, start=1):
        told.reports(number, ready + every * index, size * index, value)
    return number


def eventful(folder):
    """A search of every fate, killed once, stopped once: what each second went to is known.

    Driver 1 lives from 0 to its kill, of which the last sign is at 70; driver 2 from 100 to 200,
    when it is stopped; driver 3 from 300 to 400.
    """
    told = Told(folder)
    told.driver(0)
    point = {"model.units": 8, "training.learning_rate": 1e-3}
    trained(told, TrialState.COMPLETE, [10, 30, 20], ask=1, ready=5, params=point)
    trained(told, TrialState.PRUNED, [4], ask=36, ready=40, params={"model.units": 16})
    failed = told.trial(TrialState.FAIL, [], ask=51, end=70, reason="<b>the loss</b> became nan")
    told.begins(failed, 55)
    # Reports at 60, killed with the driver at 70; again from its report, stopped at 200, ended.
    cut = told.trial(TrialState.COMPLETE, [20, 40, 50], ask=40, end=340, params={"model.units": 9})
    told.begins(cut, 45)
    told.reports(cut, 60, 100, 20)
    told.driver(100, 200)
    told.begins(cut, 110)
    told.reports(cut, 110, 100, 20)
    told.reports(cut, 150, 200, 40)
    told.driver(300, 400)
    told.begins(cut, 310)
    told.reports(cut, 310, 200, 40)
    told.reports(cut, 340, 300, 50)
    told.trial(TrialState.COMPLETE, [10, 30, 20], ask=341, end=341, params=point, repeats=0)
    return told
