"""What remains: journal, evidence, the incident, and the notebook that shows them."""
