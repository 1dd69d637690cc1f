import contextlib
import os
import sys

import pytest

from tauopt.quiet import _Finder, quiet_tensorflow, without_chatter

CHATTER = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    "I0000 00:00:1796077304.354935   10606 port.cc:153] oneDNN custom operations are on.\n"
    "I0000 00:00:1796077304.355271   10606 cudart_stub.cc:31] Could not find cuda drivers.\n"
)
TROUBLE = "E0000 00:00:1796077304.355300   10606 cuda_blas.cc:1407] Unable to register cuBLAS\n"


def test_chatter_is_left_out_and_all_else_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    with without_chatter():
        os.write(2, f"  3/7 files {CHATTER}{TROUBLE}".encode())
        os.write(2, b"W0000 no end")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == f"  3/7 files {TROUBLE}W0000 no end"


def test_what_was_written_before_an_error_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(ImportError), without_chatter():
        os.write(2, TROUBLE.encode())
        raise ImportError("libcuda.so.1")
    assert capfd.readouterr().err == TROUBLE


def test_the_finder_is_installed_once_and_still_finds_tensorflow(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    others = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    monkeypatch.setattr(sys, "meta_path", others)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    quiet_tensorflow()
    quiet_tensorflow()
    assert sum(isinstance(finder, _Finder) for finder in sys.meta_path) == 1
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"
    assert _Finder().find_spec("logging", None) is None
    spec = _Finder().find_spec("tensorflow", None)
    assert spec is not None
    assert "tensorflow" in str(spec.origin)


def test_level_0_shows_all_messages_of_tensorflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    monkeypatch.setattr(sys, "meta_path", others)
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    quiet_tensorflow()
    assert not any(isinstance(finder, _Finder) for finder in sys.meta_path)
