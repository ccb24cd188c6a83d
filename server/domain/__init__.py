"""The rules: plain functions of a session and a principal. Nothing here knows a request or a protocol."""
