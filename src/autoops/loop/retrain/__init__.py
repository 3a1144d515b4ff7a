"""One retraining from plan to promotion, and what starts one without an alarm: interim re-evaluations, the calendar."""
