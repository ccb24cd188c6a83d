"""REST: the door for programs. `routes` is the table of contents; a file a noun, wire models above, handlers below."""
