"""What the loop judges and trains on: windows of the log, published months and labels. Nothing here decides."""
