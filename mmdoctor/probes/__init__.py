"""Facts that are measured: by reading every byte, by asking the machine, by running the reference model."""
