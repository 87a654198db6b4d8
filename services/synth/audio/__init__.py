"""Audio into chunks: cutting, encoding, resampling, tempo."""
