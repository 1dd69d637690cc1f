"""Remote files, from a server in this process that fails on demand."""

import http.server
import threading

import pytest

from tauopt.dataset.prepared_dataset import open_dataset as open_prepared
from tauopt.errors import DataError, ServiceError
from tauopt.ntuples import remote
from tauopt.workflows.prepare import prepare, survey
from tests.ntuples_factory import columns, dataset, dataset_settings, write


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.asked += 1
        if self.server.failures:
            self.server.failures -= 1
            self.send_error(503)
        else:
            super().do_GET()

    do_HEAD = do_GET

    def log_message(self, *args): ...


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_PAUSE_S", 0.001)
    folder = tmp_path / "served"
    folder.mkdir()

    def handler(*args):
        return Handler(*args, directory=str(folder))

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.failures = server.asked = 0
    server.folder, server.address = folder, f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_remote_file_is_copied_once_and_again_when_it_changes(server, tmp_path):
    (server.folder / "a.root").write_bytes(b"first")
    first = remote.fetch(f"{server.address}/a.root", cache=tmp_path / "cache")
    assert (first.name, first.read_bytes()) == ("a.root", b"first")
    written = first.stat().st_mtime_ns
    assert remote.fetch(f"{server.address}/a.root", cache=tmp_path / "cache") == first
    assert first.stat().st_mtime_ns == written
    (server.folder / "a.root").write_bytes(b"second one")
    second = remote.fetch(f"{server.address}/a.root", cache=tmp_path / "cache")
    assert second.read_bytes() == b"second one"


def test_brackets_and_queries_of_an_address_are_no_patterns(server, tmp_path):
    (server.folder / "a[1].root").write_bytes(b"first")
    for address in ("a[1].root", "a[1].root?token=x*y"):
        copy = remote.fetch(f"{server.address}/{address}", cache=tmp_path / "cache")
        assert (copy.name, copy.read_bytes()) == ("a[1].root", b"first")


def test_three_failures_are_waited_out(server, tmp_path):
    (server.folder / "a.root").write_bytes(b"first")
    server.failures = 3
    assert remote.fetch(f"{server.address}/a.root", cache=tmp_path).read_bytes() == b"first"


def test_a_server_that_goes_on_failing_is_named_and_leaves_nothing(server, tmp_path):
    (server.folder / "a.root").write_bytes(b"first")
    server.failures = 1000
    with pytest.raises(ServiceError, match=r"http://127\S+/a\.root: not read in 4 tries"):
        remote.fetch(f"{server.address}/a.root", cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.root"))


def test_no_server_at_all_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_PAUSE_S", 0.001)
    with pytest.raises(ServiceError, match="not read in 4 tries: Cannot connect"):
        remote.fetch("http://127.0.0.1:1/a.root", cache=tmp_path)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("{}/none.root", "none.root: no such file on the server"),
        ("{}/*.root", "name each file"),
        ("ftp://host/a.root", "expected an address that begins with root, https, http"),
    ],
)
def test_an_impossible_address_is_refused(server, tmp_path, address, message):
    with pytest.raises(DataError, match=message):
        remote.fetch(address.format(server.address), cache=tmp_path)


def test_remote_files_are_prepared_as_local_ones_are(server, tmp_path):
    write(server.folder / "a.root", columns(300))
    local = prepare(dataset(server.folder), cache=tmp_path / "local")
    sample = dataset_settings("")["samples"]["all"] | {"files": [f"{server.address}/a.root"]}
    settings = dataset("", samples={"all": sample})
    assert survey(settings, cache=tmp_path / "cache") is None
    prepared = prepare(settings, cache=tmp_path / "cache")
    assert prepared.manifest.digest == local.manifest.digest
    open_prepared(prepared.folder).verify()
