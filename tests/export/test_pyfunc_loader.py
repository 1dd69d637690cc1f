from tauopt.deploy import loading
from tauopt.export import pyfunc_loader


def test_models_that_were_registered_before_the_move_find_their_loader():
    """Their `MLmodel` names `tauopt.deploy.loading`, and MLflow calls this function of it."""
    assert loading._load_pyfunc is pyfunc_loader._load_pyfunc
