"""Plans, starts, supervises and stops the processes of a node on this machine."""
