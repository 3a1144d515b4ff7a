"""Request and response bodies: what is accepted, the validation errors, and the forms of a response."""
