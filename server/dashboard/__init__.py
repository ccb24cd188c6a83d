"""The dashboard door: pages for people. Cookie in, one operation, a template or a 303 out."""
