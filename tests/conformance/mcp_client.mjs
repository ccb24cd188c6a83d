// The TypeScript SDK's client, driven line by line: it prints what its user must open, and what it got.
import { createInterface } from "node:readline/promises";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";

const [url, redirectUrl] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const heard = async () => (await lines.next()).value;
const say = (event) => console.log(JSON.stringify(event));

class Provider {
  kept = {};
  get redirectUrl() { return redirectUrl; }
  get clientMetadata() {
    return {
      client_name: "TypeScript", redirect_uris: [redirectUrl], token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"], response_types: ["code"],
    };
  }
  state() { return "a-state"; }
  clientInformation() { return this.kept.client; }
  saveClientInformation(client) { this.kept.client = client; }
  tokens() { return this.kept.tokens; }
  saveTokens(tokens) { this.kept.tokens = tokens; }
  saveCodeVerifier(verifier) { this.kept.verifier = verifier; }
  codeVerifier() { return this.kept.verifier; }
  redirectToAuthorization(address) { say({ open: address.href }); }
}

const provider = new Provider();
const connect = async () => {
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
  const client = new Client({ name: "test", version: "1" });
  try {
    await client.connect(transport);
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await transport.finishAuth(await heard());
    return connect();
  }
  return client;
};

const client = await connect();
say({ tools: (await client.listTools()).tools.map((tool) => tool.name), scope: provider.kept.tokens.scope });
const before = provider.kept.tokens;
await heard();
const added = await client.callTool({ name: "add_memory", arguments: { content: "Anna is allergic to walnuts." } });
const after = provider.kept.tokens;
say({ failed: Boolean(added.isError), refreshed: after.refresh_token !== before.refresh_token });
await client.close();
process.exit(0);
