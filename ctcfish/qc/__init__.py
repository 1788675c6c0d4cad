"""What a laboratory asks of itself: do repeats agree, do controls hold, what failed, is this image fit to score."""
