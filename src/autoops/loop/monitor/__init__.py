"""One check of the champion, from its newest windows to the record of what was found and done."""
