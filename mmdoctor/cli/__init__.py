"""The command line: one module a command; each parses, calls one function, renders and exits."""


def main() -> None:
    """Entry point of the script `mmdoctor`."""
    import gc

    # A run makes many objects that live to its end, from its imports on: looking for garbage is a waste. At its end
    # the interpreter would look through all of them once more, which takes a sixth of the time of a small check.
    gc.set_threshold(100_000, 20, 100)
    try:
        from mmdoctor.cli.app import run

        run()
    finally:
        gc.freeze()
