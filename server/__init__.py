"""SelfMemory Server: store memories, find them by meaning, delete them permanently.

Imports only point down; `tests/test_architecture.py` enforces it, and docs/architecture.md has the whole table:

5. composition   `server.app`, `server.__main__`, `server.commands`
4. doors         `rest`, `tools`, `oauth`, `server.dashboard` (never each other)
3. shell         `server.shell.runtime` and what turns requests into calls
2. rules         `server.domain`
1. adapters      `server.index`, `server.storage.database`, `server.adapters.mail`, `server.adapters.limits`
0. vocabulary    `server.models`, `server.errors`, `server.principal`, `server.settings` and their like
"""

__version__ = "0.1.0"
