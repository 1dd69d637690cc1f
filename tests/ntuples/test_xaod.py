"""ElementLinks of ATLAS files: which key means which container, and where they lead."""

import os
from pathlib import Path

import numpy as np
import pytest
import uproot

from tauopt.config.settings.layout import EventLayout
from tauopt.errors import DataError
from tauopt.ntuples.bad_files import BadFileError
from tauopt.ntuples.event_trees import EventTree
from tauopt.ntuples.xaod import _parse_event_format, container_of, link_keys
from tauopt.physics.jagged import to_awkward
from tests.events_factory import events, write_events
from tests.ntuples_factory import write

REAL = os.environ.get("TAUOPT_REAL_DATA", "")
PHYSLITE = Path(REAL) / "atlas_physlite.root"
real = pytest.mark.skipif(not REAL, reason="TAUOPT_REAL_DATA names no folder with real ntuples")


@pytest.mark.parametrize(
    ("branch", "container"),
    [
        ("InDetTrackParticlesAuxDyn.", "InDetTrackParticles"),
        ("TauTracksAuxDyn.trackLinks", "TauTracks"),
        ("EventInfoAux.eventNumber", "EventInfo"),
        ("Gen_", "Gen_"),
    ],
)
def test_branches_name_their_container(branch, container):
    assert container_of(branch) == container


def _vector(values):
    header = b"@\x00\x00\x00\x00\x09" + len(values).to_bytes(4, "big")
    return header + b"".join(values)


def _text(text):
    length = len(text)
    start = bytes([length]) if length < 255 else b"\xff" + length.to_bytes(4, "big")
    return start + text.encode()


def test_keys_are_parsed_with_long_and_empty_names():
    names = ["TauTracks", "", "x" * 300]
    vectors = [_vector([_text(name) for name in names]) for _ in range(3)]
    hashes = _vector([(7 + i).to_bytes(4, "big") for i in range(3)])
    assert _parse_event_format(b"".join(vectors) + hashes) == {"TauTracks": 7, "": 8, "x" * 300: 9}


def test_a_file_that_is_not_atlas_has_no_keys(tmp_path):
    with uproot.open(write_events(tmp_path / "a.root", events(5))) as file:
        assert link_keys(file, path=tmp_path) == {}


def test_damaged_metadata_are_named(tmp_path):
    damaged = {"EventFormat": np.full(3, 0x41414141, dtype=np.int32)}
    path = write(tmp_path / "a.root", damaged, tree="MetaData")
    with (
        uproot.open(path) as file,
        pytest.raises(BadFileError, match=r"a\.root: MetaData/EventFormat can't be read"),
    ):
        link_keys(file, path=path)


@real
def test_the_keys_of_a_real_file_are_those_of_its_links():
    with uproot.open(PHYSLITE) as file:
        keys = link_keys(file, path=PHYSLITE)
        branch = "AnalysisMuonsAuxDyn.inDetTrackParticleLink"
        stored_keys = set(
            file["CollectionTree"][f"{branch}/{branch}.m_persKey"].array().to_list()[3]
        )
    assert keys["TruthTaus"] == 375408000
    assert stored_keys <= {keys["InDetTrackParticles"]}


def _read(candidates, links, collection, names):
    layout = EventLayout.model_validate(
        {
            "type": "events",
            "candidates": candidates,
            "objects": {"some": {"collection": collection, "links": links}},
        }
    )
    source = EventTree(PHYSLITE, "CollectionTree", layout)
    return source.inspect(names), list(source.iterate(names, step=30))


def _branches(*names):
    with uproot.open(PHYSLITE) as file:
        branches = dict(file["CollectionTree"].iteritems(recursive=True))
        by_name = {branch.name: branch for branch in branches.values()}
        return [by_name[name].array(library="ak").tolist() for name in names]


@real
def test_two_steps_of_real_links_agree_with_a_loop():
    muons, tracks, vertices = (
        f"{name}AuxDyn." for name in ("AnalysisMuons", "InDetTrackParticles", "PrimaryVertices")
    )
    links = [f"{muons}inDetTrackParticleLink", f"{tracks}vertexLink"]
    names = ["some.z", "some.matched", f"{muons}pt"]
    info, parts = _read(muons, links, vertices, names)
    assert not any(info.jagged.values())
    parts_of = [f"{link}.{part}" for link in links for part in ("m_persKey", "m_persIndex")]
    slow = []
    for track_key, track, vertex_key, vertex, z in zip(
        *_branches(*parts_of, f"{vertices}z"), strict=True
    ):
        for key, at in zip(track_key, track, strict=True):
            there = key == 490246363 and at < len(vertex_key) and vertex_key[at] == 936461719
            slow.append(z[vertex[at]] if there else 0.0)
    assert [x for part in parts for x in part["some.z"].tolist()] == slow
    matched = [x for part in parts for x in part["some.matched"].tolist()]
    assert 0 < sum(matched) < len(matched) == info.entries == 51


@real
@pytest.mark.parametrize(
    ("candidates", "link"),
    [("PrimaryVerticesAuxDyn.", "trackParticleLinks"), ("AnalysisJetsAuxDyn.", "GhostTrack")],
)
def test_lists_of_real_links_agree_with_a_loop(candidates, link):
    tracks = "InDetTrackParticlesAuxDyn."
    info, parts = _read(candidates, [candidates + link], tracks, ["some.d0"])
    assert info.jagged == {"some.d0": True}
    slow = []
    for items, d0 in zip(*_branches(candidates + link, f"{tracks}d0"), strict=True):
        for links in items:
            mine = [x["m_persIndex"] for x in links if x["m_persKey"] == 490246363]
            slow.append([d0[at] for at in mine if at < len(d0)])
    assert [x for part in parts for x in to_awkward(part["some.d0"]).tolist()] == slow


@real
def test_vectors_of_vectors_are_lists_of_the_candidate():
    jets = "AnalysisJetsAuxDyn."
    layout = EventLayout.model_validate({"type": "events", "candidates": jets})
    source = EventTree(PHYSLITE, "CollectionTree", layout)
    names = [f"{jets}NumTrkPt500", f"{jets}pt"]
    assert source.inspect(names).jagged == {names[0]: True, names[1]: False}
    got = [
        x for part in source.iterate(names, step=30) for x in to_awkward(part[names[0]]).tolist()
    ]
    assert got == [item for items in _branches(names[0])[0] for item in items]


@real
def test_links_into_a_container_that_is_not_in_the_file_are_refused():
    with pytest.raises(DataError, match="no branch of lists begins with 'TauTracksAuxDyn"):
        _read(
            "AnalysisTauJetsAuxDyn.",
            ["AnalysisTauJetsAuxDyn.tauTrackLinks"],
            "TauTracksAuxDyn.",
            ["some.matched"],
        )


@real
def test_two_steps_from_lists_of_real_links_lead_back_to_their_vertex():
    vertices, tracks = "PrimaryVerticesAuxDyn.", "InDetTrackParticlesAuxDyn."
    links = [f"{vertices}trackParticleLinks", f"{tracks}vertexLink"]
    info, parts = _read(vertices, links, vertices, ["some.z", "some.matched"])
    assert info.jagged == {"some.z": True, "some.matched": False}
    slow = []
    parts_of = [f"{links[1]}.{part}" for part in ("m_persKey", "m_persIndex")]
    for items, key, index, z in zip(*_branches(links[0], *parts_of, f"{vertices}z"), strict=True):
        for there in items:
            mine = [x["m_persIndex"] for x in there if x["m_persKey"] == 490246363]
            held = [at for at in mine if at < len(key) and key[at] == 936461719]
            slow.append([z[index[at]] for at in held])
    got = [x for part in parts for x in to_awkward(part["some.z"]).tolist()]
    assert got == slow
    assert any(got)
