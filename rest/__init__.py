"""REST: the door for programs. `routes` is the table of contents; each noun has a file with wire models and handlers.

The published Python client expects the legacy shapes on the wire: `_id`, a mix of camelCase and snake_case, `event:
"ADD"`, the same id under two names, and the name of the session cookie.
"""
