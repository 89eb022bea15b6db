"""The bundled reference model on this machine."""
