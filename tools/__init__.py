"""MCP: the door for models.

`server` has the table of all tools, `gate` authenticates a request, `call` passes it to a tool. The docstrings and
field descriptions in `memories` are prompts: a model reads them to decide when to use a tool, and how.
"""
