"""The page of a search: one file, safe for any name, written for a search in any state."""

import json
import math
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from optuna.trial import TrialState

from tauopt.metrics.influence import PairedValue
from tauopt.report import report_figures
from tauopt.report.search_record import gather
from tauopt.report.write_report import write_final_report, write_report
from tauopt.study.trial_attributes import CONFIRMS, LOG_LOSS, PAIRED_VALUE
from tests.report.studies import OBJECTIVE, RecordedStudy, eventful, seconds_at, trained

VOID = {"meta", "img"}


class Page(HTMLParser):
    """A strict parse of a page: its text, its elements, what they refer to."""

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


def written(search, folder, *, driver="none"):
    record = gather(search.study, search.folder, now=seconds_at(1000), driver=driver)
    report = write_report(record, folder)
    text = report.page.read_text()
    return report, Page(text), text


@pytest.fixture(scope="module")
def eventful_page(tmp_path_factory):
    """The report of a search with trials of every fate, and its records."""
    folder = tmp_path_factory.mktemp("eventful")
    search = eventful(folder)
    (search.folder / "experiment.yaml").write_text("name: toy\nmodel: {type: rnn}\n")
    (search.folder / "environment.json").write_text('{"optuna": "5.0.0"}')
    search.study.set_user_attr("tauopt.dataset", "feed" * 16)
    return written(search, folder / "report")


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
    search = eventful(tmp_path)
    hostile = "</pre><script>alert('x')</script> & <img src=x onerror=y>"
    (search.folder / "experiment.yaml").write_text(hostile)
    (search.folder / "environment.json").write_text(json.dumps({hostile: hostile}))
    search.study.set_user_attr("tauopt.commit", '"><script>')
    _, page, text = written(search, tmp_path / "report")
    text_on_page = "".join(page.text)
    assert text_on_page.count(hostile) == 3
    assert "<b>the loss</b> became nan" in text_on_page
    assert "<script>alert" not in text
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert "b" not in {tag for tag, _ in page.elements}
    assert all("onerror" not in attributes for _, attributes in page.elements)


def test_the_page_has_leaderboard_compute_cost_configuration_and_environment(eventful_page):
    _, page, _ = eventful_page
    text_on_page = "".join(page.text)
    for part in ("name: toy\nmodel: {type: rnn}", "feed" * 16, "5.0.0", f"{OBJECTIVE} maximized",
                 "t003, rejection@0.75 = 50", "5 of 9 asked for", "1 failed", "repeats t000",
                 "lost by interruption", "3 drivers"):  # fmt: skip
        assert part in text_on_page, part
    assert page.cells.count("t003") == 1
    assert [f"t00{n}" in page.cells for n in range(5)] == [True] * 5


@pytest.mark.parametrize("complete", [0, 1])
def test_a_search_of_no_or_one_complete_trial_has_its_page(tmp_path, complete):
    search = RecordedStudy(tmp_path)
    search.driver(0)
    for _ in range(complete):
        trained(search, TrialState.COMPLETE, [10, 20], ask=1, ready=2)
    report, page, _ = written(search, tmp_path / "report")
    assert report.problems == ()
    text_on_page = "".join(page.text)
    assert ("no trial has completed yet" in text_on_page) == (complete == 0)
    assert ("t000, rejection@0.75 = 20" in text_on_page) == (complete == 1)
    assert ("There is nothing to draw yet." in text_on_page) == (complete == 0)


def test_a_search_of_failed_trials_alone_has_its_page(tmp_path):
    search = RecordedStudy(tmp_path)
    search.driver(0, 50)
    for _ in range(3):
        search.trial(TrialState.FAIL, [], ask=1, end=3, reason="ZeroDivisionError: no")
    report, page, _ = written(search, tmp_path / "report")
    assert report.problems == ()
    assert page.cells.count("ZeroDivisionError: no") == 3


def test_several_objectives_bring_their_columns_and_the_figure_of_their_front(tmp_path):
    search = RecordedStudy(tmp_path, objectives=(OBJECTIVE, "latency_us", "parameters"))
    search.driver(0, 900)
    for value in (10, 20, 30):
        trained(search, TrialState.COMPLETE, [value], ask=1, ready=2, others=(1.5 * value, 1e4))
    report, page, _ = written(search, tmp_path / "report")
    assert report.problems == ()
    assert {"front-latency_us.png", "front-parameters.json"} <= {p.name for p in report.files}
    assert "latency_us minimized" in "".join(page.text)
    assert {"front", "latency_us", "parameters"} <= set(page.cells)


def test_a_range_that_the_best_trials_hit_at_an_end_is_named_on_the_page(tmp_path):
    search = RecordedStudy(tmp_path)
    units = {"low": 4, "high": 64, "log": True, "step": 1, "when": {}}
    definition = json.loads(search.study.user_attrs["tauopt.text"])
    text = json.dumps({**definition, "space": {"model.units": units}})
    search.study.set_user_attr("tauopt.text", text)
    search.driver(0, 100)
    for number in range(4):
        trained(search, TrialState.COMPLETE, [10 + number], ask=1, ready=5 + number,
                params={"model.units": 63 + number % 2})  # fmt: skip
    record = gather(search.study, search.folder, now=seconds_at(100), driver="none")
    page = write_report(record, tmp_path / "report").page.read_text()
    text = "4 of the best 4 trials have model.units at its upper end 64: widen it."
    assert text in " ".join(Page(page).text)


def test_the_mean_over_other_seeds_is_on_the_row_of_the_trial(tmp_path):
    search = RecordedStudy(tmp_path)
    point = {"model.units": 8}
    trained(search, TrialState.COMPLETE, [50], ask=1, ready=2, params=point)
    for value in (40, 44):
        paired = PairedValue(math.log(value), np.full(4, 0.02, np.float32))
        known = {CONFIRMS: 0, PAIRED_VALUE: str(paired), LOG_LOSS: 1 / value}
        again = search.trial(
            TrialState.COMPLETE, [value], ask=3, end=4, params=point, attributes=known
        )
    assert again == 2
    report, page, _ = written(search, tmp_path / "report")
    # Errors of 4.8 % times Student's 1.84 (seeds) and of 4 % (sample).
    assert "41.95, 38.1 to 46.19 (2)" in page.cells
    assert (
        "t000, rejection@0.75 = 41.952 (68 %: 38.1 to 46.19), mean of 2 other seeds" in page.cells
    )
    assert "complete, confirms t000" in page.cells
    assert "1 of 9 asked for: 1 complete; 2 more on other seeds" in page.cells
    assert "trained again on another seed, to confirm one of the best" in page.cells
    confirmed = json.loads(report.page.with_name("confirmed.json").read_text())
    assert confirmed["points"][0]["values"] == [40, 44]
    assert confirmed["points"][0]["first"] == 50


def test_each_figure_has_its_points_and_a_sentence_that_says_how_to_read_it(eventful_page):
    report, page, _ = eventful_page
    names = {path.stem for path in report.files if path.suffix == ".png"}
    assert {"progress", "learning"} <= names
    for name in names:
        assert json.loads(report.page.with_name(f"{name}.json").read_text())
    tags = [tag for tag, _ in page.elements]
    assert tags.count("figure") == tags.count("figcaption") == tags.count("img") == len(names)


def test_a_figure_that_fails_is_named_and_the_others_are_drawn(tmp_path, monkeypatch, caplog):
    whole = report_figures.plan

    def broken(record):
        first, *others = whole(record)

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


def test_a_report_that_fails_altogether_is_a_note_and_no_error(tmp_path):
    search, events = eventful(tmp_path), []
    (search.folder / "report").write_text("a file where the folder should be")
    assert list(write_final_report(search.study, search.folder, on_event=events.append)) == []
    (event,) = events
    assert event.kind == "note"
    assert event.message.startswith("no report: ")
