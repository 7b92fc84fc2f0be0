"""CV-UNet: a small network that finds the subject of a photo and mattes it."""
