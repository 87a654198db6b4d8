"""Engine processes: started, fed, watched, replaced."""
