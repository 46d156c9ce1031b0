"""Deep symbolic optimisation."""
