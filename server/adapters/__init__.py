"""Mail, identity providers and rate limits: what is outside of this process."""
