"""When an alarm becomes an incident, and what holds the loop back: persistence, cool-down, budget, freeze."""
