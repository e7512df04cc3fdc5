"""Where pieces of a proof are worked on: worker processes of this machine, or a Ray cluster."""
