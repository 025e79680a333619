"""What training costs here: run by hand, one module a question."""
