"""Proofs about networks that decode, made readable."""
