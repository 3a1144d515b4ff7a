// What htmx does not do: keep what a person is typing, count down to the next check, and say that the connection is lost.
"use strict";

const later = new Map();
const busy = (part) => part.contains(document.activeElement) || [...part.querySelectorAll("input[name=reason]")].some((input) => input.value);

document.addEventListener("htmx:sseBeforeMessage", (event) => {
  later.delete(event.target);
  if (!busy(event.target)) return;
  event.preventDefault();
  later.set(event.target, event.detail.data);
});

document.addEventListener("focusout", () => setTimeout(() => {
  for (const [part, content] of later)
    if (!busy(part) && later.delete(part)) htmx.swap(part, content, {swapStyle: "innerHTML"});
}));

document.addEventListener("htmx:afterRequest", (event) => {
  const form = event.detail.elt, said = document.getElementById("said");
  if (!form.matches(".action form") || said.querySelector(".bad")) return;
  form.reset();
  form.closest("details").open = false;
  said.focus();
});

for (const [name, hidden] of [["htmx:sseError", false], ["htmx:sseOpen", true]])
  document.addEventListener(name, () => { document.getElementById("lost").hidden = hidden; });

setInterval(() => {
  for (const shown of document.querySelectorAll("[data-due]")) {
    const left = Math.round((new Date(shown.dataset.due) - Date.now()) / 1000), size = Math.abs(left);
    const span = size >= 172800 ? `${Math.floor(size / 86400)} days` : size >= 7200 ? `${Math.floor(size / 3600)} h` : size >= 60 ? `${Math.floor(size / 60)} min` : `${size} s`;
    shown.textContent = left >= 0 ? `in ${span}` : `${span} overdue`;
  }
}, 1000);
