"""The command line: one module a command; each parses, calls one function, renders and exits."""

from mmdoctor.cli.app import main

__all__ = ["main"]
