"""No claim of these tests is about the figures of a trial."""

from tests.training.conftest import undrawn

__all__ = ["undrawn"]
