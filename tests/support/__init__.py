"""What several tests need. No test lives here, and no test imports from another."""
