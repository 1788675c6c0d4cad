"""A run on disk: tables, labels, manifest; everything written whole or not at all."""
