"""`tauopt report` works for any search, and loads no heavy library."""

import json
import subprocess
import sys

import pytest

from tauopt.durable import locked
from tauopt.errors import UsageError
from tauopt.report import report_figures
from tauopt.study.search_setup import LOCK
from tauopt.workflows.report import report
from tests.report.studies import eventful


@pytest.fixture(autouse=True)
def own_storage(monkeypatch):
    monkeypatch.delenv("TAUOPT_STORAGE", raising=False)


@pytest.fixture(autouse=True)
def one_figure(monkeypatch):
    """Draw one figure only: each takes a fifth of a second, and no test here is about them."""
    whole = report_figures.plan
    monkeypatch.setattr(report_figures, "plan", lambda record: whole(record)[:1])


def test_it_writes_into_the_search_s_folder_or_into_another(tmp_path):
    search = eventful(tmp_path)
    assert report("toy", output=tmp_path).page == search.folder / "report" / "report.html"
    elsewhere = report(output=tmp_path, to=tmp_path / "a" / "b")
    assert elsewhere.page == tmp_path / "a" / "b" / "report.html"
    assert {path.parent for path in elsewhere.files} == {tmp_path / "a" / "b"}


def test_it_states_that_a_search_still_runs(tmp_path):
    search = eventful(tmp_path)
    assert "still running" not in report(output=tmp_path).page.read_text()
    search.driver(500)
    with locked(search.folder / LOCK, what="search"):
        assert "still running" in report(output=tmp_path).page.read_text()


def test_it_leaves_study_and_records_as_they_are(tmp_path):
    search = eventful(tmp_path)
    before = {p: p.read_bytes() for p in search.folder.rglob("*") if p.is_file()}
    trials = search.study.get_trials()
    report(output=tmp_path, to=tmp_path / "elsewhere")
    assert {p: p.read_bytes() for p in search.folder.rglob("*") if p.is_file()} == before
    assert search.study.get_trials() == trials


def test_an_unknown_search_is_refused_with_the_names_of_those_that_exist(tmp_path):
    eventful(tmp_path)
    with pytest.raises(UsageError, match=r"no search 'tox'.*toy"):
        report("tox", output=tmp_path)


def test_the_verb_needs_no_heavy_library_where_trials_are_few(tmp_path):
    eventful(tmp_path)
    code = (
        "import sys; from tauopt.cli.app import build_app\n"
        "heavy = {'ray', 'tensorflow', 'keras', 'mlflow', 'sklearn'}\n"
        "try: build_app()()\n"
        "finally: print(sorted(heavy & sys.modules.keys()))"
    )
    words = ["report", "toy", "-o", str(tmp_path), "--json"]
    output = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    ).stdout
    content, end = json.JSONDecoder().raw_decode(output)
    assert content["problems"] == []
    assert content["files"][0] == content["page"]
    assert output[end:].strip() == "[]"
