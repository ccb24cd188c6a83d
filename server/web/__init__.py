"""HTTP as all doors need it: requests, bodies, credentials, headers."""
