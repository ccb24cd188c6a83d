// Every page works without this script.
"use strict";

// The server knows the theme on every page except those before sign-in.
const theme = document.cookie.match(/(?:^|; )theme=(light|dark)/);
if (theme) document.documentElement.dataset.theme = theme[1];

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

// The server writes times in UTC. Show them in the reader's time zone and time format.
const hourCycle = document.cookie.match(/(?:^|; )time-format=(h12|h23)/)?.[1];
const short = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short", hourCycle });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const long = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long", hourCycle });
for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  if (time.dataset.as !== "ago") time.textContent = (time.dataset.as === "date" ? day : short).format(moment);
  time.title = long.format(moment);
}

// The server groups lists by day. Tell it the reader's time zone.
document.cookie = `zone=${encodeURIComponent(zone)}; path=/dashboard; max-age=31536000; samesite=lax`;

// On a phone the project's pages are one row. Scroll to the current one.
document.querySelector("nav.project [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// Days in filters begin at midnight in the reader's time zone.
for (const input of document.querySelectorAll("input[name=timezone]")) input.value = zone;
for (const element of document.querySelectorAll("[data-zone]")) element.textContent = zone;

// Show a message such as "Saved." once: remove it from the address, which may be reloaded or shared. Replacing the
// address also makes a page that answers a form, such as a refused one, reload without sending the form again.
const address = new URL(location.href);
if (address.searchParams.has("done")) for (const name of ["done", "count", "invitations"]) address.searchParams.delete(name);
history.replaceState(null, "", address);

// A copy button next to everything that is meant to be pasted. Over plain http there is no clipboard: copy a selection.
async function copy(button, source) {
  const label = button.dataset.label;
  if (source.select) source.select();
  else getSelection().selectAllChildren(source);
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent.trimEnd());
    button.textContent = "Copied";
  } catch {
    button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl+C";
  }
  setTimeout(() => { button.textContent = label; }, 2000);
}

for (const container of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(container.dataset.copy);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button small";
  button.dataset.label = container.dataset.label || "Copy";
  button.textContent = button.dataset.label;
  button.setAttribute("aria-live", "polite");
  button.setAttribute("aria-label", `Copy ${container.dataset.what || "text"}`);
  button.addEventListener("click", () => {
    copy(button, source);
    button.removeAttribute("aria-label");
  });
  container.append(button);
}

// Menus and confirmations close on Escape and on a click outside.
const floating = "details.switch[open], details.confirm[open]";
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll(floating)) {
    if (!open.contains(event.target)) open.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const open of document.querySelectorAll(floating)) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  }
  const typing = event.target.closest("input, textarea, select");
  const search = document.querySelector("input[type=search]");
  const isOff = localStorage.getItem("single-key-shortcuts-off") === "yes";
  if (event.key === "/" && !typing && !isOff && search && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

// Prevent double submission. A page that is restored from the browser's cache can be submitted again, and so can one that
// is still there after some seconds: the person may have stopped loading, and no event reports that.
const STOPPED_AFTER_MS = 10_000;
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || event.target.method !== "post" || "download" in button.dataset) return;
  setTimeout(() => { button.disabled = true; });
  setTimeout(() => { button.disabled = false; }, STOPPED_AFTER_MS);
});
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const button of document.querySelectorAll("button[disabled]")) button.disabled = false;
});

// Refuse a file that is too large before it is uploaded.
for (const input of document.querySelectorAll("input[type=file][data-limit]")) {
  input.addEventListener("change", () => {
    const tooLarge = input.files[0] && input.files[0].size > Number(input.dataset.limit);
    input.setCustomValidity(tooLarge ? "This file is too large. Split it into smaller files." : "");
    input.reportValidity();
  });
}

// Show a notice when memories arrive while the page is open. Without the stream, the page works but shows no notice.
const live = document.querySelector("[data-live]");
if (live && "EventSource" in window) {
  let source = null;
  const listen = () => {
    if (document.hidden) return;
    source ??= new EventSource(live.dataset.live);
    source.onmessage = (event) => {
      const { memories, source: by } = JSON.parse(event.data);
      live.querySelector("span").textContent = `${memories === 1 ? "1 new memory" : `${memories} new memories`}${by ? ` via ${by}` : ""}.`;
      live.hidden = memories === 0;
    };
    source.onerror = () => {
      if (source?.readyState !== EventSource.CLOSED) return;  // the browser reconnects by itself
      source = null;
      setTimeout(listen, 30000);
    };
  };
  listen();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source?.close();
      source = null;
    } else if (!source) {
      listen();
    }
  });
}

// Wait until the assistant that is being connected makes its first call.
const waiting = document.querySelector("[data-waiting]");
if (waiting) {
  let turns = 400;
  const ask = async () => {
    const answer = await fetch(waiting.dataset.waiting).catch(() => null);
    const name = answer?.ok ? (await answer.json()).connected : null;
    if (name) {
      waiting.textContent = `Connected: ${name}`;
      waiting.classList.add("good");
    } else if (turns--) {
      setTimeout(ask, 3000);
    }
  };
  setTimeout(ask, 3000);
}

// In a field with several values, complete the one after the last comma.
for (const input of document.querySelectorAll("input[data-list]")) {
  const values = [...(input.list?.options ?? [])].map((option) => option.value);
  const complete = () => {
    const before = input.value.slice(0, input.value.lastIndexOf(",") + 1);
    input.list?.replaceChildren(...values.map((value) => new Option("", before ? `${before} ${value}` : value)));
  };
  input.addEventListener("input", complete);
  input.addEventListener("focus", complete);
}

// Add and remove rows of details, and give a value the field of its kind. Without this, the server adds and removes rows.
const detailRows = document.querySelector("[data-rows]");
detailRows?.addEventListener("click", (event) => {
  const button = event.target.closest("button[name=row]");
  if (!button) return;
  event.preventDefault();
  if (button.value !== "add") {
    button.closest(".detail").remove();
    detailRows.querySelector("button[value=add]").focus();
    return;
  }
  button.before(detailRows.querySelector("template").content.cloneNode(true));
  button.previousElementSibling.querySelector("input").focus();
});
detailRows?.addEventListener("change", (event) => {
  if (event.target.name !== "kinds") return;
  const box = event.target.nextElementSibling;
  const typed = box.querySelector("[name=values]").value;
  box.replaceChildren(detailRows.querySelector(`[data-kind=${event.target.value}]`).content.cloneNode(true));
  const field = box.querySelector("[name=values]");
  if (field.tagName !== "SELECT" || /^(true|false)$/.test(typed)) field.value = typed;
});

// Show how many memories are selected. One key selects all of them.
const count = document.querySelector("[data-selected]");
if (count) {
  const boxes = [...document.querySelectorAll("input[name=ids]")];
  const tell = () => {
    const chosen = boxes.filter((box) => box.checked).length;
    count.textContent = `${chosen} selected`;
    all.textContent = chosen === boxes.length ? "Select none" : "Select all";
  };
  const all = document.createElement("button");
  all.type = "button";
  all.className = "button small quiet";
  all.addEventListener("click", () => {
    const wanted = !boxes.every((box) => box.checked);
    for (const box of boxes) box.checked = wanted;
    tell();
  });
  count.after(all);
  for (const box of boxes) box.addEventListener("change", tell);
  tell();
}
