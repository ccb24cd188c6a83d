"""Grants: OAuth clients, consent, codes and tokens."""
