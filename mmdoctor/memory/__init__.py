"""Memory that a model takes on an accelerator, and the accelerators there are."""
