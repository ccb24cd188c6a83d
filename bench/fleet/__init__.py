"""A soak of a server with several workers, Postgres, a Chroma server and Redis, while each of them is killed."""
