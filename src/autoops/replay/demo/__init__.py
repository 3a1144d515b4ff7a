"""The demo: the whole loop on this machine, with real services, told as it happens, and the page that it leaves."""
