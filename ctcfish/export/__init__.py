"""A run's tables and labels in other people's formats."""
