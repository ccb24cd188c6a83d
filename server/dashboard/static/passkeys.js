// Asks the browser for a passkey, or for a new one, and sends its answer as a form.
"use strict";

function bytes(text) {
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function text(buffer) {
  const binary = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

const withBytes = (listed) => (listed || []).map((one) => ({ ...one, id: bytes(one.id) }));

async function create(options) {
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: withBytes(options.excludeCredentials),
  };
  const made = await navigator.credentials.create({ publicKey });
  return answer(made, { attestationObject: text(made.response.attestationObject) });
}

async function get(options) {
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    allowCredentials: withBytes(options.allowCredentials),
  };
  const used = await navigator.credentials.get({ publicKey });
  return answer(used, {
    authenticatorData: text(used.response.authenticatorData),
    signature: text(used.response.signature),
    userHandle: used.response.userHandle ? text(used.response.userHandle) : undefined,
  });
}

function answer(credential, response) {
  return JSON.stringify({
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    clientExtensionResults: {},
    response: { ...response, clientDataJSON: text(credential.response.clientDataJSON) },
  });
}

function submit(action, fields) {
  const form = document.createElement("form");
  form.method = "post";
  form.action = action;
  for (const [name, value] of fields) {
    const input = document.createElement("input");
    input.type = "hidden";
    input.name = name;
    input.value = value;
    form.append(input);
  }
  document.body.append(form);
  form.submit();
}

const PROBLEMS = {
  InvalidStateError: "This device already has a passkey for your account.",
  NotAllowedError: "No passkey was used. Try again.",
  SecurityError: "Passkeys do not work at this address. Open this server at its public URL.",
};

for (const place of document.querySelectorAll("[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  place.hidden = false;
  const button = place.querySelector("button");
  const problem = place.querySelector("[role=alert]");
  const inputs = [...place.querySelectorAll("input")];

  async function ask() {
    if (!inputs.every((input) => input.reportValidity())) return;
    button.disabled = true;
    problem.hidden = true;
    try {
      const make = place.dataset.passkey === "create" ? create : get;
      const credential = await make(JSON.parse(place.dataset.options));
      const fields = inputs.map((input) => [input.name, input.value]);
      submit(place.dataset.action, [...fields, [place.dataset.name || "credential", credential]]);
    } catch (error) {
      problem.textContent = PROBLEMS[error.name] || "This passkey did not work. Try again.";
      problem.hidden = false;
      button.disabled = false;
    }
  }

  button.addEventListener("click", ask);
  for (const input of inputs) {
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") ask();
    });
  }
}

if (!window.PublicKeyCredential) {
  for (const message of document.querySelectorAll("[data-no-passkeys]")) message.hidden = false;
}

addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload(); // the challenge of a page from the browser's cache may have ended
});
