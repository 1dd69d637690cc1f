"""Trees of events: candidates, and objects by index, link and cone, against a loop."""

import math

import awkward as ak
import numpy as np
import pytest

from tauopt.config.settings.layout import EventLayout
from tauopt.errors import DataError
from tauopt.ntuples import event_trees as module
from tauopt.ntuples.bad_files import BadFileError
from tauopt.ntuples.event_trees import EventTree
from tauopt.ntuples.file_formats import open_source
from tauopt.ntuples.root_files import open_tree
from tauopt.physics.jagged import Jagged, to_awkward
from tests.events_factory import LAYOUT, TRACKS, TRUTH, events, write_events
from tests.ntuples.damage import little_memory, mutate
from tests.ntuples_factory import columns, write_rntuple

EVENTS = 120
NAMES = (
    *("event", "weights", "Tau_pt", "Jet_pt", "jet.pt", "jet.flavour", "jet.matched"),
    *("near.pt", "near.d_r", "near.d_phi", "near.matched", "gen.pt", "gen.d_eta", "gen.matched"),
    *("truth.pt", "truth.matched", "through.pt", "through.matched"),
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    content = events(EVENTS)
    path = write_events(tmp_path_factory.mktemp("events") / "a.root", content, baskets=3)
    return path, content


def _source(path, **changes):
    return EventTree(path, "Events", EventLayout.model_validate({**LAYOUT, **changes}))


def _read(source, names, *, step):
    """Return all candidates as plain lists."""
    columns = {name: [] for name in names}
    for part in source.iterate(names, step=step):
        assert set(part) == set(names)
        for name, values in part.items():
            columns[name] += (to_awkward(values) if isinstance(values, Jagged) else values).tolist()
    return columns


def _slow(content):
    """Return what `NAMES` mean, by a loop over the events and their candidates."""
    content = {name: values.tolist() for name, values in content.items()}
    rows = {name: [] for name in NAMES}
    for e in range(EVENTS):
        event = {name: values[e] for name, values in content.items()}
        for i in range(len(event["Tau_pt"])):
            for name, value in _slow_candidate(event, i).items():
                rows[name].append(value)
    return rows


def _slow_candidate(event, i):
    def distance(name, j):
        eta = event[f"{name}_eta"][j] - event["Tau_eta"][i]
        phi = event[f"{name}_phi"][j] - event["Tau_phi"][i]
        phi = (phi + math.pi) % (2 * math.pi) - math.pi
        return eta, phi, math.hypot(eta, phi)

    jet = event["Tau_jetIdx"][i]
    near = [j for j in range(len(event["Track_pt"])) if distance("Track", j)[2] < 0.4]
    gens = sorted((distance("Gen", j)[2], j) for j in range(len(event["Gen_pt"])))
    gen = gens[0][1] if gens and gens[0][0] < 0.3 else None
    key, index = event["Tau_truthLink.m_persKey"][i], event["Tau_truthLink.m_persIndex"][i]
    truth = index if key == TRUTH else None
    track = None
    if truth is not None and event["Gen_trackLink.m_persKey"][truth] == TRACKS:
        track = event["Gen_trackLink.m_persIndex"][truth]
    return {
        "event": event["event"],
        "weights": event["weights"],
        "Tau_pt": event["Tau_pt"][i],
        "Jet_pt": event["Jet_pt"],
        "jet.pt": event["Jet_pt"][jet] if jet >= 0 else -1.0,
        "jet.flavour": event["Jet_flavour"][jet] if jet >= 0 else -1,
        "jet.matched": jet >= 0,
        "near.pt": [event["Track_pt"][j] for j in near],
        "near.d_r": [distance("Track", j)[2] for j in near],
        "near.d_phi": [distance("Track", j)[1] for j in near],
        "near.matched": bool(near),
        "gen.pt": 0.0 if gen is None else event["Gen_pt"][gen],
        "gen.d_eta": 0.0 if gen is None else distance("Gen", gen)[0],
        "gen.matched": gen is not None,
        "truth.pt": 0.0 if truth is None else event["Gen_pt"][truth],
        "truth.matched": truth is not None,
        "through.pt": 0.0 if track is None else event["Track_pt"][track],
        "through.matched": track is not None,
    }


def _flat(values):
    return ak.to_numpy(ak.flatten(ak.Array(values), axis=None)).astype(float)


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_candidates_are_those_of_a_loop_whatever_the_step(written, step):
    path, content = written
    columns, slow = _read(_source(path), NAMES, step=step), _slow(content)
    assert any(slow["through.matched"])
    assert not all(slow["gen.matched"])
    for name in NAMES:
        values = columns[name]
        assert len(values) == len(slow[name])
        assert [np.size(value) for value in values] == [np.size(value) for value in slow[name]]
        assert _flat(values) == pytest.approx(_flat(slow[name]), abs=1e-6), name


def test_large_events_are_read_fewer_at_a_time(written, monkeypatch):
    source = _source(written[0])
    whole = _read(source, NAMES, step=1000)
    assert len(list(source.iterate(NAMES))) == 1
    monkeypatch.setattr(module, "_STEP_BYTES", 1)
    monkeypatch.setattr(module, "_FEWEST", 50)
    assert len(list(source.iterate(NAMES))) == 3
    assert _read(source, NAMES, step=1000) == whole


def test_the_entries_of_a_source_of_events_are_its_candidates(written):
    path, content = written
    info = _source(path).inspect(NAMES)
    assert info.entries == int(ak.sum(ak.num(content["Tau_pt"])))
    lists = {"weights", "Jet_pt", "near.pt", "near.d_r", "near.d_phi"}
    assert info.jagged == {name: name in lists for name in NAMES}


def test_columns_are_jagged_as_seen_from_a_candidate(written):
    columns = _source(written[0]).columns()
    assert {name: columns[name].jagged for name in ("event", "weights", "Tau_pt", "Jet_pt")} == {
        **{"event": False, "weights": True, "Tau_pt": False, "Jet_pt": True}
    }
    assert columns["Tau_pt"].entries == EVENTS


@pytest.mark.parametrize("friends", [[], ["more"]])
def test_events_are_read_from_single_ttrees_only(tmp_path, friends):
    path = write_rntuple(tmp_path / "a.root", columns(5), name="Events")
    source_of = {"tree": "Events", "friends": friends, "layout": _source(path).layout}
    with pytest.raises(DataError, match="`layout: events` is read from"):
        open_source(path, **source_of).inspect(["Tau_pt"])
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(DataError, match="not from"):
        open_source(tmp_path / "a.h5", **source_of)


def test_events_without_candidates_give_no_candidates(tmp_path):
    content = events(60)
    empty = ak.to_numpy(ak.num(content["Tau_pt"])) == 0
    content = {name: values[empty] for name, values in content.items()}
    source = _source(write_events(tmp_path / "a.root", content))
    assert source.inspect(["Tau_pt", "event"]).entries == 0
    assert list(source.iterate(["Tau_pt", "event"])) == []


def test_event_branches_alone_give_a_row_for_each_candidate(written):
    path, content = written
    columns = _read(_source(path), ["event"], step=50)
    assert columns["event"] == np.repeat(content["event"], ak.num(content["Tau_pt"])).tolist()


def test_one_error_lists_all_wrong_names_with_the_nearest_ones(written):
    path, _ = written
    with pytest.raises(DataError) as caught:
        _source(path).inspect(["Tau_ptt", "jet.flavor", "gens.pt", "near.matchd"])
    message = str(caught.value)
    assert f"{path}: tree 'Events': no branch 'Tau_ptt' (did you mean 'Tau_pt'?)" in message
    assert "no branch 'jet.flavor' (branch 'Jet_flavor') (did you mean 'jet.flavour'?)" in message
    assert "no branch 'gens.pt' (did you mean 'gen.pt'?)" in message
    assert "'near.matchd' (branch 'Track_matchd') (did you mean 'near.matched'?)" in message


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ({"collection": "Jet_", "index": "Tau_jetIndex"}, "'Tau_jetIndex' .*'Tau_jetIdx'"),
        ({"collection": "Jets_", "cone": 0.4}, "no branch 'Jets_eta' .*'Jet_eta'"),
        ({"collection": "Jet_", "cone": 0.4, "eta": "rapidity"}, "no branch 'Jet_rapidity'"),
        ({"collection": "Jet_", "index": "event"}, "'event' has other numbers"),
        ({"collection": "Jet_", "index": "Jet_flavour"}, "'Jet_flavour' has other numbers"),
        ({"collection": "Gen_", "links": ["Tau_truthLinks"]}, "no branch 'Tau_truthLinks'"),
        ({"collection": "Gen_", "links": ["Tau_pt"]}, "expected lists of ElementLinks"),
        (
            {"collection": "Gen_", "links": ["Tau_truthLink"]},
            "no m_persKey .*'Gen_'.*`keys`",
        ),
    ],
)
def test_a_layout_that_does_not_fit_the_file_is_refused(written, objects, message):
    source = _source(written[0], objects={"some": objects})
    with pytest.raises(DataError, match=message):
        list(source.iterate(["Tau_pt", "some.matched"]))


def test_a_collection_that_is_not_there_is_refused(written):
    with pytest.raises(DataError, match="no branch of lists begins with 'Taus_'"):
        _source(written[0], candidates="Taus_").inspect(["event"])


def test_branches_of_one_collection_must_agree(tmp_path):
    content = events(20)
    content["Tau_odd"] = content["Jet_pt"]
    source = _source(write_events(tmp_path / "a.root", content))
    with pytest.raises(DataError, match="'Tau_odd' has other numbers of objects"):
        list(source.iterate(["Tau_pt", "Tau_odd"]))


def check_damaged(written, folder, *, files, seed):
    """Read mutated files: an error that names the file, or every candidate of every event."""
    raw = written[0].read_bytes()
    whole = _read(_source(written[0]), NAMES, step=1000)
    rng, refused = np.random.default_rng(seed), 0
    with little_memory():
        for number in range(files):
            path = folder / f"{number}.root"
            path.write_bytes(mutate(raw, rng))
            error, columns = _try(_source(path))
            refused += isinstance(error, BadFileError)
            if error:
                assert str(path) in str(error)
            else:
                assert {len(values) for values in columns.values()} == {len(whole["event"])}
            path.unlink()
    assert refused > files / 4


def test_mutated_files_give_an_error_or_every_candidate(written, tmp_path):
    check_damaged(written, tmp_path, files=60, seed=3)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_thousand_mutated_files_give_an_error_or_every_candidate(written, tmp_path):
    check_damaged(written, tmp_path, files=1000, seed=4)


@pytest.mark.parametrize("field", ["bytes", "entries"])
def test_a_basket_whose_header_claims_a_huge_size_gets_no_memory(written, tmp_path, field):
    raw = bytearray(written[0].read_bytes())
    with open_tree(written[0], "Events") as tree:
        seek = int(tree["Tau_pt"].member("fBasketSeek")[1])
    key = int.from_bytes(raw[seek + 14 : seek + 16], "big")
    place = seek + (6 if field == "bytes" else key - 9)  # TKey's fObjlen; TBasket's fNevBuf
    raw[place : place + 4] = (1_900_000_000).to_bytes(4, "big")
    (tmp_path / "a.root").write_bytes(raw)
    with (
        little_memory(300),
        pytest.raises(BadFileError, match=r"'Tau_pt' .* 1900000000 .*expected"),
    ):
        list(_source(tmp_path / "a.root").iterate(["Tau_pt"]))


def _try(source):
    """Return the error of a file, or all that it holds."""
    try:
        source.inspect(NAMES)
        return None, _read(source, NAMES, step=1000)
    except DataError as error:
        return error, {}
