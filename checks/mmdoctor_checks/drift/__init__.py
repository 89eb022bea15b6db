"""Drift between model, tokenizer, processor and template."""
