// Commands and keyboard shortcuts. Every command is a link of the page, so nothing is lost without this script.
"use strict";

const KEYS_OFF = "single-key-shortcuts-off";
const SHORTCUTS = [
  ["Ctrl K or ⌘ K", "Open the command palette"],
  ["/", "Search memories"],
  ["n", "Add a memory"],
  ["g o", "Go to the overview"],
  ["g m", "Go to memories"],
  ["g a", "Go to activity"],
  ["?", "Show this list"],
  ["Esc", "Close"],
];
const PAGES = { o: "", m: "/memories", a: "/activity" };

const base = document.querySelector("nav.project a.item")?.getAttribute("href");

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function dialogOf(title, ...children) {
  const dialog = element("dialog", { className: "palette" }, ...children);
  dialog.setAttribute("aria-label", title);
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  return dialog;
}

// The palette: the links of the navigation and the projects, and a search for what is typed.
function commands() {
  const links = [...document.querySelectorAll(".side nav a, .switch .menu a")];
  const named = links.map((link) => {
    const isProject = link.closest(".menu") && link.pathname.includes("/projects/");
    const name = (link.querySelector("span") ?? link).textContent.trim();  // next to an icon, and perhaps a number
    return { name: isProject ? `Project: ${name}` : name, href: link.href };
  });
  if (base) named.push({ name: "Add memory", href: `${base}/memories/new` }, { name: "Trash", href: `${base}/trash` }, { name: "Similar memories", href: `${base}/similar` });
  named.push({ name: "Theme: light or dark", href: "/dashboard/account#theme-title" }, { name: "Time format: 12-hour or 24-hour", href: "/dashboard/account#time-format-title" }, { name: "API documentation", href: "/docs" });
  for (const one of named) one.href = new URL(one.href, location.href).href;
  return named.filter((one, place) => named.findIndex((other) => other.href === one.href) === place);
}

const input = element("input", { type: "text", placeholder: "Search or go to…", autocomplete: "off" });
input.setAttribute("aria-label", "Command");
const list = element("ul");
const palette = dialogOf("Command palette", input, list);

function show() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const matching = commands().filter((one) => words.every((word) => one.name.toLowerCase().includes(word)));
  const isWhole = (one) => words.every((word) => one.name.toLowerCase().split(/[^\p{L}\p{N}]+/u).includes(word));
  const found = matching.sort((one, other) => isWhole(other) - isWhole(one)).slice(0, 9);
  if (base && input.value.trim()) {
    found.push({ name: `Search memories for “${input.value.trim()}”`, href: `${base}/memories?q=${encodeURIComponent(input.value.trim())}` });
  }
  list.replaceChildren(...found.map((one) => element("li", {}, element("a", { href: one.href, textContent: one.name }))));
}

function move(step) {
  const links = [input, ...list.querySelectorAll("a")];
  const place = links.indexOf(document.activeElement);
  links[(place + step + links.length) % links.length].focus();
}

palette.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    move(event.key === "ArrowDown" ? 1 : -1);
  }
  if (event.key === "Enter" && event.target === input) list.querySelector("a")?.click();
});
input.addEventListener("input", show);

function open() {
  input.value = "";
  show();
  if (!palette.open) palette.showModal();
}

// The list of shortcuts. Keys without Ctrl can be turned off, for those who speak to their computer.
const isOff = element("input", { type: "checkbox", checked: localStorage.getItem(KEYS_OFF) !== "yes" });
isOff.addEventListener("change", () => localStorage.setItem(KEYS_OFF, isOff.checked ? "no" : "yes"));
const rows = SHORTCUTS.map(([keys, what]) => element("tr", {}, element("td", { textContent: what }), element("td", {}, element("kbd", { textContent: keys }))));
const help = dialogOf(
  "Keyboard shortcuts",
  element("h2", { textContent: "Keyboard shortcuts" }),
  element("table", {}, element("tbody", {}, ...rows)),
  element("label", { className: "choice" }, isOff, element("span", { textContent: "Use keys without Ctrl" })),
);

let previous = "";
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    open();
    return;
  }
  const isTyping = event.target.closest("input:not([type=checkbox]), textarea, select");
  if (isTyping || palette.open || help.open || event.ctrlKey || event.metaKey || event.altKey || !isOff.checked) return;
  if (event.key === "?") help.showModal();
  if (base && event.key === "n") location.href = `${base}/memories/new`;
  if (base && previous === "g" && event.key in PAGES) location.href = base + PAGES[event.key];
  previous = event.key;
});

for (const button of document.querySelectorAll("[data-palette]")) {
  button.hidden = false;
  button.addEventListener("click", () => (button.dataset.palette === "help" ? help.showModal() : open()));
}
