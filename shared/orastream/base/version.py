"""The version of the library, of the node and of its interfaces."""

VERSION = "0.1.0"
