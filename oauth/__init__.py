"""The OAuth 2.1 door: how a person lets an application use one of their projects. `routes` is the table of contents.

Authlib decides about requests and grants; what it leaves open is here: single use, families of tokens, resource
indicators (RFC 8707), metadata documents, registration without secrets, `iss` in every answer (RFC 9207).
"""
