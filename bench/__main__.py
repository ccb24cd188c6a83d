"""`python -m bench`: retrieval, then latency. Each alone: `python -m bench.retrieval`, `.latency`, `.embeddings`."""

from bench import latency, retrieval


def main() -> None:
    if retrieval.DEFAULT_FILE.exists():
        retrieval.report(retrieval.measure(retrieval.DEFAULT_FILE, "users"))
    else:
        print(f"Retrieval is not measured: {retrieval.DEFAULT_FILE} is not there.")
    latency.main()


if __name__ == "__main__":
    main()
