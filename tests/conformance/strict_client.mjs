// oauth4webapi checks every answer against its RFC: discovery, registration, the flow, refresh, introspection, revocation.
import { createInterface } from "node:readline/promises";
import * as oauth from "oauth4webapi";

const [resource, redirectUri] = process.argv.slice(2);
const insecure = { [oauth.allowInsecureRequests]: true };
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (event) => console.log(JSON.stringify(event));

const about = await oauth.processResourceDiscoveryResponse(
  new URL(resource), await oauth.resourceDiscoveryRequest(new URL(resource), insecure));
const issuer = new URL(about.authorization_servers[0]);
const as = await oauth.processDiscoveryResponse(
  issuer, await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure }));
const client = await oauth.processDynamicClientRegistrationResponse(
  await oauth.dynamicClientRegistrationRequest(as, {
    client_name: "Strict", redirect_uris: [redirectUri], token_endpoint_auth_method: "client_secret_basic",
    grant_types: ["authorization_code", "refresh_token"],
  }, insecure));
const authentication = oauth.ClientSecretBasic(client.client_secret);

const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const address = new URL(as.authorization_endpoint);
address.search = new URLSearchParams({
  client_id: client.client_id, redirect_uri: redirectUri, response_type: "code", state, resource,
  scope: "memories:read memories:write", code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
});
say({ open: address.href });
const parameters = oauth.validateAuthResponse(as, client, new URL((await lines.next()).value), state);

const first = await oauth.processAuthorizationCodeResponse(as, client,
  await oauth.authorizationCodeGrantRequest(as, client, authentication, parameters, redirectUri, verifier, {
    additionalParameters: { resource }, ...insecure,
  }));
const second = await oauth.processRefreshTokenResponse(as, client,
  await oauth.refreshTokenGrantRequest(as, client, authentication, first.refresh_token, insecure));
const reply = await oauth.protectedResourceRequest(
  second.access_token, "GET", new URL("/api/memories", resource), undefined, undefined, insecure);
const active = await oauth.processIntrospectionResponse(as, client,
  await oauth.introspectionRequest(as, client, authentication, second.access_token, insecure));
await oauth.processRevocationResponse(
  await oauth.revocationRequest(as, client, authentication, second.refresh_token, insecure));
const ended = await oauth.processIntrospectionResponse(as, client,
  await oauth.introspectionRequest(as, client, authentication, second.access_token, insecure));
say({ scope: second.scope, status: reply.status, active: active.active, ended: ended.active });
process.exit(0);
