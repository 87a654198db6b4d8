"""Protocol v2 at the reference OraServer: the rules (pure), their storage, and the sockets."""
