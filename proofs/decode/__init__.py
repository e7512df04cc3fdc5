"""Certificates of decoding networks: abstract states, the rules between them, and their checker."""
