"""Add, search, correct, and delete memories over REST, with nothing but httpx.

SELFMEMORY_URL=http://127.0.0.1:8081 SELFMEMORY_KEY=sk_im_… python examples/rest_with_httpx.py
"""

import os
import uuid

import httpx

TEXT = "Anna prefers the window seat on long flights."


def add(client: httpx.Client, text: str, tags: list[str]) -> str:
    """Store one memory and return its id."""
    answer = client.post(
        "/api/memories",
        json={"messages": [{"role": "user", "content": text}], "metadata": {"tags": tags, "source": "example"}},
        headers={"Idempotency-Key": str(uuid.uuid4())},  # send the same key again after a timeout: stored once
    )
    answer.raise_for_status()
    memory_id: str = answer.json()["memory_id"]
    return memory_id


def main() -> None:
    headers = {"Authorization": f"Bearer {os.environ['SELFMEMORY_KEY']}"}
    with httpx.Client(base_url=os.environ["SELFMEMORY_URL"], headers=headers, timeout=30) as client:
        memory_id = add(client, TEXT, tags=["travel"])
        print(f"Added {memory_id}")

        body = {"query": "Where does Anna like to sit?", "filters": {"tags": ["travel"], "limit": 3}}
        answer = client.post("/api/memories/search", json=body)
        answer.raise_for_status()
        for found in answer.json()["results"]:
            print(f"Found {found['score']:.2f}  {found['content']}")

        change = {"text": "Anna prefers the aisle seat on long flights."}
        client.put(f"/api/memories/{memory_id}", json=change).raise_for_status()
        versions = client.get(f"/api/memories/{memory_id}/history").raise_for_status().json()["results"]
        print(f"Corrected; the history has {len(versions)} versions")

        client.delete(f"/api/memories/{memory_id}").raise_for_status()
        gone = client.get(f"/api/memories/{memory_id}")
        print(f"Deleted; reading it answers {gone.status_code}: {gone.json()['detail']}")


if __name__ == "__main__":
    main()
