"""What the simulated account can look like: one module per scenario."""
