"""The checker's own transformers: sound bounds for every op, one file a kind."""
