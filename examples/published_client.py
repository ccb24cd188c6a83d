"""Use the published Python package against your own server: `pip install selfmemory`.

SELFMEMORY_URL=http://127.0.0.1:8081 SELFMEMORY_KEY=sk_im_… python examples/published_client.py
"""

import os

from selfmemory import SelfMemoryClient

TEXT = "Carla's team meets every Tuesday at ten in room 4."


def main() -> None:
    with SelfMemoryClient(host=os.environ["SELFMEMORY_URL"], api_key=os.environ["SELFMEMORY_KEY"]) as client:
        added = client.add(TEXT, tags="work,meeting", people_mentioned="Carla")
        if not added["success"]:  # the client does not raise
            raise SystemExit(added["error"])
        print(f"Added {added['memory_id']}")

        for found in client.search("When is the team meeting?", tags=["meeting"], limit=3)["results"]:
            print(f"Found {found['score']:.2f}  {found['content']}")
        print(f"From today: {len(client.temporal_search('today')['results'])}")

        print(client.delete(added["memory_id"])["message"])


if __name__ == "__main__":
    main()
