"""The software around the model."""
