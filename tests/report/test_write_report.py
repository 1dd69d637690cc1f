"""The page of a search: whole in one file, safe whatever names hold, there in every state."""

import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from optuna.trial import TrialState

from tauopt.report import report_figures as report_figures
from tauopt.report.search_record import gather
from tauopt.report.write_report import report_in_the_end, write_report
from tests.report.studies import OBJECTIVE, Told, eventful, seconds_at, trained

VOID = {"meta", "img"}


class Page(HTMLParser):
    """Reads a page strictly: its text, its elements, what they refer to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.text, self.cells = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data
        if "style" not in self.open and "script" not in self.open:
            self.text.append(data)

    def references(self):
        names = ("src", "href", "data", "action", "srcset", "poster", "background")
        return [a[name] for _, a in self.elements for name in names if name in a]


def written(told, folder, *, driver="none"):
    facts = gather(told.study, told.folder, now=seconds_at(1000), driver=driver)
    report = write_report(facts, folder)
    text = report.page.read_text()
    return report, Page(text), text


@pytest.fixture(scope="module")
def eventful_page(tmp_path_factory):
    """The report of a search of every fate, with records of its own."""
    folder = tmp_path_factory.mktemp("eventful")
    told = eventful(folder)
    (told.folder / "experiment.yaml").write_text("name: toy\nmodel: {type: rnn}\n")
    (told.folder / "environment.json").write_text('{"optuna": "5.0.0"}')
    told.study.set_user_attr("tauopt.dataset", "feed" * 16)
    return written(told, folder / "report")


def test_the_page_refers_to_nothing_outside_itself(eventful_page):
    report, page, text = eventful_page
    assert report.problems == ()
    references = page.references()
    inside = {f"#{a['id']}" for _, a in page.elements if "id" in a}
    assert inside <= set(references)
    assert len(references) >= 2 + len(inside)
    assert all(r in inside or r.startswith("data:image/png;base64,") for r in references)
    for forbidden in ("http:", "https:", "//cdn", "@import", "url(", "fetch(", "<link", "<iframe"):
        assert forbidden not in text
    assert [tag for tag, _ in page.elements].count("script") == 1


def test_names_and_errors_from_users_are_text_on_the_page_never_markup(tmp_path):
    told = eventful(tmp_path)
    hostile = "</pre><script>alert('x')</script> & <img src=x onerror=y>"
    (told.folder / "experiment.yaml").write_text(hostile)
    (told.folder / "environment.json").write_text(json.dumps({hostile: hostile}))
    told.study.set_user_attr("tauopt.commit", '"><script>')
    _, page, text = written(told, tmp_path / "report")
    said = "".join(page.text)
    assert said.count(hostile) == 3
    assert "<b>the loss</b> became nan" in said
    assert "<script>alert" not in text
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert "b" not in {tag for tag, _ in page.elements}
    assert all("onerror" not in attributes for _, attributes in page.elements)


def test_the_page_tells_leaderboard_ledger_configuration_and_environment(eventful_page):
    _, page, _ = eventful_page
    said = "".join(page.text)
    for part in ("name: toy\nmodel: {type: rnn}", "feed" * 16, "5.0.0", f"{OBJECTIVE} maximized",
                 "t003, rejection@0.75 = 50", "5 of 9 asked for", "1 failed", "repeats t000",
                 "lost by interruption", "3 drivers"):  # fmt: skip
        assert part in said, part
    assert page.cells.count("t003") == 1
    assert [f"t00{n}" in page.cells for n in range(5)] == [True] * 5


@pytest.mark.parametrize("complete", [0, 1])
def test_a_search_of_no_or_one_complete_trial_has_its_page(tmp_path, complete):
    told = Told(tmp_path)
    told.driver(0)
    for _ in range(complete):
        trained(told, TrialState.COMPLETE, [10, 20], ask=1, ready=2)
    report, page, _ = written(told, tmp_path / "report")
    assert report.problems == ()
    said = "".join(page.text)
    assert ("no trial has completed yet" in said) == (complete == 0)
    assert ("t000, rejection@0.75 = 20" in said) == (complete == 1)
    assert ("There is nothing to draw yet." in said) == (complete == 0)


def test_a_search_of_failed_trials_alone_has_its_page(tmp_path):
    told = Told(tmp_path)
    told.driver(0, 50)
    for _ in range(3):
        told.trial(TrialState.FAIL, [], ask=1, end=3, reason="ZeroDivisionError: no")
    report, page, _ = written(told, tmp_path / "report")
    assert report.problems == ()
    assert page.cells.count("ZeroDivisionError: no") == 3


def test_several_objectives_bring_their_columns_and_the_figure_of_their_front(tmp_path):
    told = Told(tmp_path, objectives=(OBJECTIVE, "latency_us", "parameters"))
    told.driver(0, 900)
    for value in (10, 20, 30):
        trained(told, TrialState.COMPLETE, [value], ask=1, ready=2, others=(1.5 * value, 1e4))
    report, page, _ = written(told, tmp_path / "report")
    assert report.problems == ()
    assert {"front-latency_us.png", "front-parameters.json"} <= {p.name for p in report.files}
    assert "latency_us minimized" in "".join(page.text)
    assert {"front", "latency_us", "parameters"} <= set(page.cells)


def test_what_came_of_a_trial_on_other_seeds_stands_beside_it(tmp_path):
    told = Told(tmp_path)
    point = {"model.units": 8}
    trained(told, TrialState.COMPLETE, [50], ask=1, ready=2, params=point)
    again = Told(tmp_path, name="toy-seeds")
    for value in (40, 44):
        again.trial(TrialState.COMPLETE, [value], ask=1, end=2, params=point, plan=False)
    _, page, _ = written(told, tmp_path / "report")
    assert "42 ± 2.8 (2) =" in page.cells


def test_each_figure_has_its_points_and_a_sentence_that_says_how_to_read_it(eventful_page):
    report, page, _ = eventful_page
    names = {path.stem for path in report.files if path.suffix == ".png"}
    assert {"progress", "learning"} <= names
    for name in names:
        assert json.loads(report.page.with_name(f"{name}.json").read_text())
    tags = [tag for tag, _ in page.elements]
    assert tags.count("figure") == tags.count("figcaption") == tags.count("img") == len(names)


def test_a_figure_that_fails_is_told_and_the_rest_is_there(tmp_path, monkeypatch, caplog):
    whole = report_figures.plan

    def broken(facts):
        first, *others = whole(facts)

        def fail():
            raise ZeroDivisionError("no <figure>")

        return [replace(first, draw=fail), *others]

    monkeypatch.setattr(report_figures, "plan", broken)
    report, page, _ = written(eventful(tmp_path), tmp_path / "report")
    (problem,) = report.problems
    assert problem == "Best value so far: ZeroDivisionError: no <figure>"
    assert problem in caplog.text
    assert f"Not drawn: {problem}" in "".join(page.text)
    assert (tmp_path / "report" / "learning.png").is_file()


def test_a_report_that_fails_altogether_is_an_event_and_no_error(tmp_path):
    told, events = eventful(tmp_path), []
    (told.folder / "report").write_text("a file where the folder should be")
    assert list(report_in_the_end(told.study, told.folder, on_event=events.append)) == []
    (event,) = events
    assert event.kind == "note"
    assert event.message.startswith("no report: ")
