"""Attention and tensor shapes."""
