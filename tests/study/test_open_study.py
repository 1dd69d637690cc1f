import sqlite3

import optuna
import pytest

import tauopt
from tauopt.config.settings.experiment import Objective
from tauopt.config.settings.ranges import ChoiceRange, FloatRange
from tauopt.errors import InvalidNameError, ServiceError, UsageError
from tauopt.study.open_study import goals_of, open_study, start_study
from tauopt.study.provenance import Provenance, code_version, differences
from tauopt.study.study_storage import open_storage, storage_url, without_password

ORIGIN = Provenance(experiment="e1", text="units: 8\n", dataset="d1", code="0.1+aa", commit="c1")
OBJECTIVE = Objective(maximize="auc", minimize="parameters")
SPACE = {"x": FloatRange(0.0, 1.0), "kind": ChoiceRange(("a", "b"))}


@pytest.fixture(autouse=True)
def no_storage(monkeypatch):
    monkeypatch.delenv("TAUOPT_STORAGE", raising=False)


def start(
    output,
    name="s",
    *,
    resume=False,
    origin=ORIGIN,
    objective=OBJECTIVE,
    space=SPACE,
    accept_changes=False,
):
    return start_study(
        open_storage(output),
        name,
        origin=origin,
        folder=output / "searches" / name,
        objective=objective,
        space=space,
        resume=resume,
        accept_changes=accept_changes,
    )


def test_an_existing_name_is_refused_and_says_how_to_go_on(tmp_path):
    start(tmp_path).ask()
    with pytest.raises(UsageError, match=r"--resume.*--name"):
        start(tmp_path)


def test_a_search_that_stopped_before_its_first_trial_does_not_hold_its_name(tmp_path):
    start(tmp_path).enqueue_trial({"x": 0.5, "kind": "a"})
    second = start(tmp_path)
    assert not second.trials
    second.ask()
    with pytest.raises(UsageError, match="exists already"):
        start(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"experiment": "e2", "text": "units: 16\n"}, r"-units: 8\n\s+\+units: 16"),
        ({"dataset": "d2"}, "prepared dataset changed: d1 -> d2"),
        ({"code": "0.2+bb", "commit": "c2"}, "tauopt changed"),
        ({"method": "2"}, "tauopt trains in another way: method 1 -> 2"),
    ],
)
def test_a_resume_with_something_changed_shows_the_difference(tmp_path, change, message):
    start(tmp_path)
    changed = Provenance(**{**ORIGIN.__dict__, **change})
    with pytest.raises(UsageError, match=message):
        start(tmp_path, resume=True, origin=changed)
    start(tmp_path, resume=True, origin=changed, accept_changes=True)
    start(tmp_path, resume=True, origin=changed)


def test_another_commit_alone_is_no_change():
    assert differences(ORIGIN, Provenance(**{**ORIGIN.__dict__, "commit": "c9"})) == []


def test_changed_choices_need_a_new_study(tmp_path):
    study = start(tmp_path)
    study.ask().suggest_categorical("kind", ("a", "b"))
    space = {**SPACE, "kind": ChoiceRange(("a", "c"))}
    with pytest.raises(UsageError, match="kind changed its kind or its choices"):
        start(tmp_path, resume=True, space=space, accept_changes=True)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            Objective(maximize="auc"),
            "maximize auc, minimize parameters, now the file says maximize",
        ),
        (Objective(maximize=["auc", "accuracy"]), "now the file says maximize auc, maximize accu"),
        (Objective(maximize="accuracy", minimize="parameters"), "now the file says maximize accu"),
    ],
)
def test_other_objectives_need_a_new_study(tmp_path, changed, message):
    start(tmp_path)
    with pytest.raises(UsageError, match=message):
        start(tmp_path, resume=True, objective=changed, accept_changes=True)


def test_a_study_has_its_objectives_with_their_directions(tmp_path):
    goals = goals_of(start(tmp_path))
    assert [(goal.name, goal.larger) for goal in goals] == [("auc", True), ("parameters", False)]


def test_a_driver_that_died_before_it_named_the_objectives_is_followed(tmp_path):
    storage = open_storage(tmp_path)
    optuna.create_study(study_name="s", storage=storage, directions=["maximize", "minimize"])
    assert [goal.name for goal in goals_of(start(tmp_path, resume=True))] == ["auc", "parameters"]


def test_an_unknown_search_names_the_nearest(tmp_path):
    start(tmp_path, "tau-id")
    with pytest.raises(UsageError, match="did you mean 'tau-id'"):
        open_study(open_storage(tmp_path), "tau-di")


def test_a_name_that_leaves_the_folder_is_refused(tmp_path):
    with pytest.raises(InvalidNameError):
        start(tmp_path, "../../etc")


def test_opening_without_create_makes_no_file(tmp_path):
    with pytest.raises(UsageError, match="no searches yet"):
        open_storage(tmp_path, create=False)
    assert not list(tmp_path.iterdir())


def test_tables_of_an_older_optuna_are_refused_with_the_migration(tmp_path):
    start(tmp_path)
    with sqlite3.connect(tmp_path / "studies.db") as database:
        database.execute("UPDATE alembic_version SET version_num = 'v3.0.0.a'")
    with pytest.raises(ServiceError, match=r"[Bb]ack.*up.*optuna storage upgrade") as error:
        open_storage(tmp_path)
    assert error.value.exit_code == 4


def test_a_database_that_is_away_is_waited_for_and_then_named(tmp_path, monkeypatch):
    pytest.importorskip("psycopg")
    monkeypatch.setenv("TAUOPT_STORAGE", "postgresql://tau:secret@127.0.0.1:1/studies")
    with pytest.raises(ServiceError, match=r"can't use the study storage postgresql://tau:\*\*\*"):
        open_storage(tmp_path, wait_s=0.1)


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "studies.db").write_bytes(b"not a database" * 100)
    with pytest.raises(ServiceError, match=r"studies\.db.*not a database"):
        open_storage(tmp_path)


def test_a_storage_that_is_no_url_is_a_usage_error(tmp_path, monkeypatch):
    monkeypatch.setenv("TAUOPT_STORAGE", "studies")
    with pytest.raises(UsageError, match="TAUOPT_STORAGE"):
        open_storage(tmp_path)


def test_passwords_are_not_shown(tmp_path):
    assert "secret" not in without_password("postgresql://me:secret@host/db")
    assert storage_url(tmp_path).endswith("/studies.db")


def test_a_study_in_a_shared_database_belongs_to_its_folder(tmp_path, monkeypatch):
    start(tmp_path / "one")
    monkeypatch.setenv("TAUOPT_STORAGE", f"sqlite:///{tmp_path}/one/studies.db")
    with pytest.raises(UsageError, match="its folder is"):
        start(tmp_path / "two", resume=True)


def test_the_code_version_is_of_this_source():
    assert code_version().startswith(tauopt.__version__ + "+")
