"""Checks across parts of a file.

cross_checks          classes, splits, signal and background, objectives, sampler; calls the others
model_checks          groups, features and coordinates of a network against the dataset
working_point_checks  working points against task, dataset and each other
gate_checks           promotion gate against task and dataset
"""
