"""Serving settings."""
