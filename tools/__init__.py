"""MCP: the door for models.

`catalog` has the table of all tools, `server` answers each method of the protocol, `gate` authenticates a request,
`messages` finds what is wrong with a message, `protocol` corrects clients' mistakes, `call` runs a tool. The
docstrings in `reading` and `writing` and the descriptions in `inputs` are prompts: a model reads them to decide when to
use a tool, and how.
"""
