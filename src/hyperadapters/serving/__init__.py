"""A run behind HTTP: an API, and a page for people who never open a terminal."""
