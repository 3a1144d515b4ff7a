"""From cleaned trips to a fitted, evaluated and sealed model."""
