"""The contract on the wire: subjects, stream names, messages, audio, reports, errors. Pure: no I/O."""
