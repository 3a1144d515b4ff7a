"""From cleaned rows to a fitted, evaluated and sealed model."""
