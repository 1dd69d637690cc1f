"""What all tests share: what is costly is made once in a process, and `--costs` prints the rest."""

from __future__ import annotations

import gc
import os
import sqlite3
import sys

if "PYTEST_XDIST_WORKER" in os.environ:  # two processes on two cores: threads would only wait
    for _variable in (
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ):  # fmt: skip
        os.environ.setdefault(_variable, "1")

from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, closing
from functools import cache
from typing import Any

import pytest

from tauopt.tracking import client

COSTLIEST = (
    "stack/test_stack.py",
    "test_readme.py",
    "search/test_driver.py",
    "export/test_score_files.py",
    "evaluation/test_run_trial.py",
    "promotion/test_register_champion.py",
    "models/test_contract.py",
    "tracking/test_shipper.py",
    "study/test_hypermodel_space.py",
    "export/test_real_scores.py",
    "ntuples/test_xaod.py",
)
"""A worker that began one of these last would leave the others waiting for it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--costs", type=int, default=0, metavar="N", help="print the N costliest files of tests"
    )


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()  # until all is imported
    if count := config.getoption("costs"):
        config.pluginmanager.register(_Costs(count))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {file: place for place, file in enumerate(COSTLIEST)}

    def place(item: pytest.Item) -> int:
        file = item.nodeid.partition("::")[0].removeprefix("tests/")
        return order.get(file, len(order))

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Spare the garbage collector the millions of objects that were imported: a tenth of all."""
    gc.freeze()
    gc.enable()


class _Costs:
    """Adds up what the tests of each file take, with what they set up.

    Processor time counts this process and what it waited for, so it is little touched by what else
    the machine does; Ray's workers are not in it.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.clock: Counter[str] = Counter()
        self.processor: Counter[str] = Counter()
        self.before = 0.0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        self.before = _processor_time()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        before, self.before = self.before, _processor_time()
        report.processor_s = self.before - before
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file = report.nodeid.partition("::")[0]
        self.clock[file] += report.duration
        self.processor[file] += getattr(report, "processor_s", 0.0)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section(f"the {self.count} costliest of {len(self.clock)} files")
        terminalreporter.write_line("by the clock, processor")
        for file, seconds in self.clock.most_common(self.count):
            terminalreporter.write_line(f"{seconds:8.1f} s {self.processor[file]:8.1f} s  {file}")
        total, processor = self.clock.total(), self.processor.total()
        terminalreporter.write_line(f"{total:8.1f} s {processor:8.1f} s  all")


def _processor_time() -> float:
    return sum(os.times()[:4])


@pytest.fixture(scope="session", autouse=True)
def stores_from_a_template(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """MLflow makes the tables of one SQLite store; the others of this process are copies of it.

    It takes a second of processor time for the sixty migrations of each new one.
    """
    template = tmp_path_factory.mktemp("mlflow") / "template.db"
    really = client._try

    def make_tables(engine: Any) -> None:
        file = engine.url.database
        if engine.dialect.name != "sqlite" or file in (None, "", ":memory:"):
            migrate(engine)
        elif template.exists():
            _copy_database(template, file)
        else:
            migrate(engine)
            _copy_database(file, template)

    def try_address(address: str) -> Any:
        from mlflow.store.db import utils

        nonlocal migrate
        if utils._initialize_tables is not make_tables:
            migrate, utils._initialize_tables = utils._initialize_tables, make_tables
        return really(address)

    migrate: Any = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "_try", try_address)
        yield


@pytest.fixture(scope="session", autouse=True)
def migrations_are_read_once() -> Generator[None]:
    """Alembic runs each file of Optuna's migrations again whenever a storage is opened."""
    import alembic.util

    really = alembic.util.load_python_file
    cached = cache(really)

    def load(folder: Any, file: Any) -> Any:
        return (cached if file != "env.py" else really)(folder, file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alembic.util, "load_python_file", load)
        yield


@pytest.fixture(scope="session", autouse=True)
def garbage_waits_for_its_collector() -> Generator[None]:
    """Trials leave their garbage to Python's own rules.

    In a process that runs all kinds of tests each would walk over what they all hold, a third of
    what a tiny trial costs.
    """
    with pytest.MonkeyPatch.context() as patch:
        if material := sys.modules.get("tauopt.training.network_and_data"):
            patch.setattr(material, "collect_garbage", lambda: None)
        yield


@pytest.fixture(scope="session")
def _rays() -> Generator[ExitStack]:
    """Hold the Ray of this process, if there is one."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def ray_here(_rays: ExitStack) -> None:
    """A Ray with two CPUs, which stays for the next file that asks for one.

    It takes three seconds of processor time to start.
    """
    import ray

    from tauopt.cluster import start_ray
    from tauopt.cluster.ray_tasks import ONE_THREAD
    from tauopt.search import ray_resources

    if ray.is_initialized():
        return
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RAY_ADDRESS", "RAY_TMPDIR", "TMPDIR", start_ray.NICENESS):
            patch.delenv(name, raising=False)
        with ray_resources.environment(), start_ray.environment(ONE_THREAD):
            _rays.enter_context(start_ray.running(cpus=2, variables=ONE_THREAD))


@pytest.fixture(scope="module")
def no_ray_here(_rays: ExitStack) -> None:
    """No Ray in this process, also if an earlier file left one."""
    _rays.close()


def _copy_database(old: Any, new: Any) -> None:
    with closing(sqlite3.connect(old)) as source, closing(sqlite3.connect(new)) as target:
        source.backup(target)
