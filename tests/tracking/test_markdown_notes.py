from __future__ import annotations

import json
import subprocess

from tauopt.tracking import markdown_notes
from tauopt.tracking.environment import environment, git_commit, installed

ROWS = [{"trial": 3, "rejection@0.75": 91.23456}, {"trial": 1, "rejection@0.75": 80.0}]


def test_search_note_shows_the_best_trials_as_a_table():
    note = markdown_notes.search_note(
        name="rnn", large=["rejection@0.75"], facts={"dataset": "demo"}, board=ROWS
    )
    assert "**rnn** maximises `rejection@0.75`." in note
    assert "- dataset: demo" in note
    assert "| 3 | 91.23 |\n| 1 | 80 |" in note


def test_search_note_separates_objectives_to_maximise_from_those_to_minimise():
    note = markdown_notes.search_note(
        name="rnn", large=["auc/1p", "auc/3p"], small=["latency_us"], facts={}, board=ROWS
    )
    assert "maximises `auc/1p`, `auc/3p` and minimises `latency_us`." in note
    assert note.endswith("as good in all objectives and better in one.")


def test_trial_note_names_trial_and_search():
    assert markdown_notes.trial_note(number=7, search="rnn", facts={}).startswith(
        "Trial 7 of the search **rnn**"
    )


def test_table_titles_have_no_dots_since_the_ui_would_show_nothing():
    table = json.loads(markdown_notes.table_json([*ROWS]))
    assert table == {"columns": ["trial", "rejection at 75 %"], "data": [[3, 91.23456], [1, 80.0]]}
    assert json.loads(markdown_notes.table_json([{"val.loss": 1}]))["columns"] == ["val_loss"]
    assert json.loads(markdown_notes.table_json([])) == {"columns": [], "data": []}


def test_bar_in_a_cell_does_not_break_the_table():
    assert markdown_notes.markdown_table([{"a": "x|y"}])[-1] == "| x\\|y |"


def test_environment_names_versions_and_machine():
    versions = environment()
    assert versions["tensorflow"] == installed("tensorflow")
    assert {"tauopt", "python", "platform", "processors"} <= set(versions)


def test_commit_says_when_files_differ_from_it(tmp_path):
    assert git_commit(tmp_path) == ""

    def git(*arguments):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(
            ["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True
        )

    git("init")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "a")
    commit = git_commit(tmp_path)
    assert len(commit) == 40
    (tmp_path / "a").write_text("2")
    assert git_commit(tmp_path) == f"{commit}-dirty"
