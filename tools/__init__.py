"""MCP: the door for models.

`server` has every tool on one screen, `gate` lets a request in, `call` brings it to a tool.
"""
