"""Who may ask for what, and how often. Only where keys are configured."""
