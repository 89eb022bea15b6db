"""Path -> facts: one module a format. Headers only, nothing executed, no torch, no numpy."""
