"""`python -m bench` runs retrieval, latency and tokens; `python -m bench.NAME` runs one of the benchmarks."""

from bench import latency, retrieval, tokens


def main() -> None:
    if retrieval.DEFAULT_FOLDER.is_dir():
        retrieval.measure(retrieval.DEFAULT_FOLDER)
    else:
        print(f"Retrieval is not measured: {retrieval.DEFAULT_FOLDER} does not exist.")
    latency.main()
    tokens.main()


if __name__ == "__main__":
    main()
