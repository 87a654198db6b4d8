"""What `orastream init-auth` writes: accounts and users of nats-server, and the credentials of each role.

`names`, `rights`, `accounts`, `server_config` and `env_files` are pure. `keys` and `certificates` make secrets.
`folder` reads and writes the files, and `plan` is one run.
"""
