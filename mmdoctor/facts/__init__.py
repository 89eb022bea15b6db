"""Facts: frozen, typed statements about an artefact, a machine or a target. No I/O, no torch, one module a subject."""
