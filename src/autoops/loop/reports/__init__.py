"""What people read: an incident in words, an overview on one screen, one prediction feature by feature."""
