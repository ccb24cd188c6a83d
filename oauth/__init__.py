"""The OAuth 2.1 door: a person gives an application access to one of their projects. `routes` is the table of contents.

Authlib validates requests and grants. This package adds what Authlib leaves open: single use, token families, resource
indicators (RFC 8707), client metadata documents, registration without secrets, `iss` in every answer (RFC 9207).
"""
