"""SelfMemory Server: store what was said, find it again by meaning, forget it for good.

The code in layers; imports only point down, and `tests/test_architecture.py` holds them to it:

5. composition   `server.app`, `server.__main__`, `server.commands`
4. doors         `rest`, `tools`, `oauth`, `server.dashboard` (never one another)
3. shell         `server.runtime`, `server.request_credentials`, `server.wire`, `server.statuses`, `server.cors`,
                 `server.middleware`, `server.metrics`, `server.health`
2. rules         `server.domain`
1. adapters      `server.index`, `server.database`, `server.mail`, `server.limits`
0. vocabulary    `server.models`, `server.errors`, `server.principal`, `server.settings`, `server.hashing`,
                 `server.logs`
"""
