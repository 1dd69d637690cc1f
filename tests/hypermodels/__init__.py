"""HyperModels as users write them: an example package, and what goes wrong."""
