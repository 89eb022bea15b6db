"""Precision and quantisation."""
