"""Integrity of files."""
