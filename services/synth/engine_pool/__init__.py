"""Engine processes: start them, give them sentences, watch them, replace them."""
