// A real OpenID provider on loopback. Any login name signs in as NAME@example.com; "unconfirmed-…" has no proof of it.
// Arguments: port, the client's redirect URI. Prints a line once it listens.
import Provider from "oidc-provider";

const [port, redirectUri] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;

const provider = new Provider(issuer, {
  clients: [{ client_id: "selfmemory", client_secret: "a secret of the tests, long enough", redirect_uris: [redirectUri] }],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  cookies: { keys: ["tests"] },
  pkce: { required: () => true },
  async findAccount(_context, sub) {
    const claims = { sub, email: `${sub}@example.com`, email_verified: !sub.startsWith("unconfirmed"), name: sub };
    return { accountId: sub, claims: async () => claims };
  },
});

provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
