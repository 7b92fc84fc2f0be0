"""Training of CV-UNet: shards, samples, losses, loop."""
