"""Training of one trial: build, fit, report, checkpoint, resume, evaluate.

::

    train_trial       one trial from plan to results, report by report
    trial_plan        the plan of a trial, and the names of the files in its folder
    trial_report      reports of a trial, and the tracker that records them
    trial_identity    identity of a training: settings, seed, data, method
    continued_training a trial that is trained on from its checkpoint
    trial_results     results of a finished trial: model, predictions, numbers, figures
    network_and_data  the dataset as a task sees it; network, optimizer and training model
    fit_segment       one call of Keras's `fit`
    train_step        Keras's training step with learning-rate schedule and weight averages
    rungs             after how many candidates a trial reports, and how batches grow
    optimizers        settings -> Keras optimizer
    learning_rate     learning-rate schedule as a function of the candidates seen
    best_report       which report's weights are kept
    trial_constraints constrained metrics and costs of a report and of the results
    early_stopping    early stopping, and the learning rate on a plateau
    losses            cross-entropy, focal loss and the loss in two parts
    precision         mixed precision, and networks that XLA can compile
    prediction        class probabilities of a whole split
    latency           inference time a candidate on one core
    checkpoints       durable checkpoints with checksums, and the state that they hold
    interrupts        Ctrl-C and SIGTERM while trials run
"""
