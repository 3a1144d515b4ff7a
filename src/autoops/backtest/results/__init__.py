"""The results of simulations: intervals, tables and the picture."""
