"""Training of the shipped networks: data, augmentation, targets and the loop; not needed to run them."""
