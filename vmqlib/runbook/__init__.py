"""What is decided and done: one module for each step of the incident response runbook."""
