"""What happens in each scenario."""
