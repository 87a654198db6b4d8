"""How the gateway answers over HTTP."""
