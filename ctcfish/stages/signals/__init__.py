"""Steps of survey and detection: candidates, noise, threshold, fits, crowds, vetoes."""
