"""The address of `export.pyfunc_loader` in models that were registered before it moved there."""
