"""What registered versions of tauopt 0.1 name as their loader; MLflow imports it by this name."""

from tauopt.export.pyfunc_loader import _load_pyfunc

__all__ = ["_load_pyfunc"]
