"""What lies under a batch: who may write, what is done already, where slides are scored, and how far it is."""
