// What the console adds to htmx: saying that the connection is lost, and keeping the focus.
"use strict";
(() => {
  const trouble = document.getElementById("trouble");
  let acknowledging = null;

  const say = (text) => {
    if (trouble.textContent !== text) trouble.textContent = text;
    trouble.hidden = text === "";
  };

  document.addEventListener("htmx:error", () => say(trouble.dataset.offline));
  document.addEventListener("htmx:response:error", (event) => {
    if (event.target.closest("form")) {
      say(trouble.dataset.refused);
      document.body.dispatchEvent(new CustomEvent("alarms-changed"));
    } else {
      say(trouble.dataset.offline);
    }
  });
  document.addEventListener("submit", (event) => {
    acknowledging = event.target.dataset.row || null;
  });
  document.addEventListener("htmx:after:swap", (event) => {
    const sentence = trouble.textContent;
    if (sentence === trouble.dataset.offline) say("");
    // The button that was pressed is gone: stay in its row, or where its row was.
    if (acknowledging === null || document.activeElement !== document.body) return;
    const row = document.getElementById(acknowledging);
    if (row === null || row.querySelector("button") === null) {
      const next = row || document.querySelector("#board tbody tr");
      const link = next && next.querySelector("td a");
      if (link) link.focus({ preventScroll: true });
      acknowledging = null;
    }
  });
})();
