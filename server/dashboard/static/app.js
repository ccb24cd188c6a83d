// Comfort only: every page works without it.
"use strict";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

// Times in the reader's zone; the server writes UTC and says so.
const short = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const long = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  time.textContent = short.format(moment);
  time.title = long.format(moment);
}

// On a phone the project's pages are one row: the open one is in sight.
document.querySelector("nav.project [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// Days in filters begin where the reader is.
for (const input of document.querySelectorAll("input[name=timezone]")) input.value = zone;
for (const named of document.querySelectorAll("[data-zone]")) named.textContent = zone;

// "Saved." is told once: a reload or a shared address does not repeat it.
const address = new URL(location.href);
if (address.searchParams.has("done")) {
  address.searchParams.delete("done");
  history.replaceState(null, "", address);
}

// A copy button beside everything that is meant to be pasted elsewhere.
async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

for (const place of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(place.dataset.copy);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button small";
  button.textContent = "Copy";
  button.setAttribute("aria-live", "polite");
  button.setAttribute("aria-label", `Copy ${place.dataset.what || "text"}`);
  button.addEventListener("click", () => {
    if (source.select) source.select();
    copy(button, source.value ?? source.textContent);
    button.removeAttribute("aria-label");
  });
  place.append(button);
}

// What opens over the page closes by Escape, and by a click beside it.
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
  if (event.key === "/" && !typing && search && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

// One click, one request; a page that comes back from the browser's cache can send again.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button && event.target.method === "post") setTimeout(() => { button.disabled = true; });
});
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const button of document.querySelectorAll("button[disabled]")) button.disabled = false;
});

// A file that is too large is refused before it travels.
for (const input of document.querySelectorAll("input[type=file][data-limit]")) {
  input.addEventListener("change", () => {
    const tooLarge = input.files[0] && input.files[0].size > Number(input.dataset.limit);
    input.setCustomValidity(tooLarge ? "This file is too large: split it." : "");
    input.reportValidity();
  });
}
