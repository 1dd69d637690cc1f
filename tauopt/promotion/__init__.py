"""Promotion: decide whether a trial becomes the champion of its registered model.

::

    verdict              the verdict and its checks as records; is a trial the champion already?
    run_on_test_split    run a trial again on the validation split, then on the sealed test split
    champion_comparison  compare with the present champion, and decide
    promotion_gate       checks of a gate: floors, limits, stated data, losses against the champion
    register_champion    record, register, move the alias; new working points for the champion
    model_card           the description of a registered model in Markdown
"""
