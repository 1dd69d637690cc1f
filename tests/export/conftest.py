"""The fixtures of recorded trials."""

from tests.evaluation.conftest import alone, client, dataset, output, quick

__all__ = ["alone", "client", "dataset", "output", "quick"]
