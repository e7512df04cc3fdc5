"""Reports on networks that decode."""
