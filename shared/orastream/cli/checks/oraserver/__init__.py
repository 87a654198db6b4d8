"""`orastream check-oraserver`: plays the bridges against any OraServer, and says which rules it keeps."""
