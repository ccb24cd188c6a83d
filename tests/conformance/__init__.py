"""The official conformance suite of the Model Context Protocol, run against the server on a real socket."""
