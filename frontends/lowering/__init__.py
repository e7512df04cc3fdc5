"""What lowering to the core IR needs, whatever the model was written in."""
