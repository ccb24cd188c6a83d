"""`python -m bench`: retrieval, latency, tokens. Each alone: `python -m bench.retrieval` …; `.embeddings` only so."""

from bench import latency, retrieval, tokens


def main() -> None:
    if retrieval.DEFAULT_FILE.exists():
        retrieval.report(retrieval.measure(retrieval.DEFAULT_FILE, "users"))
    else:
        print(f"Retrieval is not measured: {retrieval.DEFAULT_FILE} is not there.")
    latency.main()
    tokens.main()


if __name__ == "__main__":
    main()
