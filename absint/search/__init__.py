"""The untrusted search: attacks, branch and bound, and the way from a problem to a verdict."""
