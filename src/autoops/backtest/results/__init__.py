"""What came of the simulations: intervals, tables and the picture."""
