"""The HTTP API: predictions from the champion, logged before they are answered, swapped without a lost request."""
