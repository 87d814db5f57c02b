// What pages can do beyond links and forms: stay new, follow a log, try an endpoint, read a chart, copy, ask back.
// Every page works without it; nothing here knows more than the page does.
"use strict";

const LINES_KEPT = 2000;
const ANSWER_LENGTH_SHOWN = 20000;
const PAUSE_AFTER_FAILURE_MS = 3000;
const PAUSE_BETWEEN_LOOKS_MS = 300;

// -- staying new -----------------------------------------------------------------------------------------------------

function refreshing() {
  const live = document.getElementById("live");
  const seconds = Number(live?.dataset.refresh);
  if (!seconds) return;
  const timer = setInterval(async () => {
    const busy = live.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
    if (document.hidden || busy) return;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.status === 401 || answer.status === 404) return location.reload();
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const newer = fresh.getElementById("live");
      if (!newer) return;
      Idiomorph.morph(document.getElementById("live"), newer, {
        callbacks: {
          // What somebody opened or chose stays so.
          beforeAttributeUpdated: (name) => !["open", "checked"].includes(name),
        },
      });
      document.title = fresh.title;
      if (!newer.dataset.refresh) clearInterval(timer);
    } catch {
      // The yard is being restarted; the next turn asks again.
    }
  }, seconds * 1000);
}

// -- logs ------------------------------------------------------------------------------------------------------------

async function follow(log) {
  for (;;) {
    try {
      const answer = await fetch(log.dataset.follow);
      if (!answer.ok) return;
      let begun = false;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        if (!begun) log.textContent = "";
        begun = true;
        append(log, value);
      }
    } catch {
      await new Promise((resolve) => setTimeout(resolve, PAUSE_AFTER_FAILURE_MS));
    }
  }
}

function append(log, text) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(text);
  log.normalize();
  const lines = log.textContent.split("\n");
  if (lines.length > LINES_KEPT * 1.2) log.textContent = lines.slice(-LINES_KEPT).join("\n");
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function following() {
  for (const log of document.querySelectorAll(".log")) {
    log.scrollTop = log.scrollHeight;
    if (log.dataset.follow) follow(log);
  }
}

// -- trying ----------------------------------------------------------------------------------------------------------

function bodyOf(form) {
  if (form.dataset.mode === "file") {
    const file = form.elements.file.files[0];
    return [file, file.type || "application/octet-stream"];
  }
  if (form.dataset.mode === "json") return [form.elements.body.value, "application/json"];
  const body = {};
  for (const field of form.querySelectorAll("[data-type]")) {
    const type = field.dataset.type;
    if (type === "boolean") body[field.name] = field.checked;
    else if (field.value !== "" || field.required) body[field.name] = type === "string" ? field.value : Number(field.value);
  }
  return [JSON.stringify(body), "application/json"];
}

// Of an invocation that was queued: its answer, and whether it is one.
async function whenAnswered(accepted, shown) {
  const place = accepted.headers.get("location");
  for (;;) {
    const { status } = await (await fetch(place)).json();
    if (!["in_queue", "in_progress"].includes(status)) {
      const done = status === "completed";
      return [await fetch(`${place}/${done ? "result" : "failure"}`), done];
    }
    shown.textContent = status.replace("_", " ");
    await new Promise((resolve) => setTimeout(resolve, PAUSE_BETWEEN_LOOKS_MS));
  }
}

async function predict(form, shown) {
  const [body, type] = bodyOf(form);
  const began = performance.now();
  const line = document.createElement("span");
  const pre = document.createElement("pre");
  pre.tabIndex = 0;
  shown.textContent = "asking ...";
  shown.setAttribute("aria-busy", "true");
  try {
    let answer = await fetch(form.dataset.url, { method: "POST", headers: { "content-type": type }, body });
    let done = true;
    if ("queued" in form.dataset && answer.status === 202) [answer, done] = await whenAnswered(answer, shown);
    const text = await readAsItComes(answer, (part) => {
      pre.textContent = shortened(part);
      if (!pre.isConnected) shown.replaceChildren(pre);
    });
    const took = (performance.now() - began).toFixed(1);
    line.className = `state ${answer.ok && done ? "good" : "bad"}`;
    line.textContent = `${answer.status} in ${took} ms, request ${answer.headers.get("x-request-id") ?? ""}`;
    pre.textContent = shortened(indented(text, answer.headers.get("content-type") ?? ""));
  } catch (error) {
    line.className = "state bad";
    line.textContent = pre.textContent ? "the answer was broken off" : "no answer";
    pre.textContent += String(error);
  }
  shown.replaceChildren(line, pre);
  shown.removeAttribute("aria-busy");
}

// The whole text; `show` is told what there is of it so far.
async function readAsItComes(answer, show) {
  let text = "";
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = (await reader?.read()) ?? { done: true };
    if (done) return text;
    text += value;
    show(text);
  }
}

// A document is set out; lines of JSON, and what says that it is JSON and is not, stay as they came.
function indented(text, type) {
  if (!/\bjson\b/i.test(type)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function shortened(text) {
  return text.length > ANSWER_LENGTH_SHOWN ? `${text.slice(0, ANSWER_LENGTH_SHOWN)}\n...` : text;
}

function trying() {
  const form = document.getElementById("try-form");
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    predict(form, document.getElementById("answer"));
  });
}

// -- replaying -------------------------------------------------------------------------------------------------------

function against(text) {
  const version = /^v(\d+)$/i.exec(text.trim());
  return version ? { version: Number(version[1]) } : { model: { reference: text.trim() } };
}

function element(tag, text, ...inner) {
  const made = document.createElement(tag);
  if (text !== null) made.textContent = text;
  made.append(...inner);
  return made;
}

function table(label, heads, rows) {
  const head = element("thead", null, element("tr", null, ...heads.map((one) => element("th", one))));
  head.querySelectorAll("th").forEach((one) => (one.scope = "col"));
  const body = element("tbody", null, ...rows.map((row) => element("tr", null, ...row.map((one) => element("td", one)))));
  const box = element("div", null, element("table", null, head, body));
  box.className = "scroll";
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", label);
  return box;
}

function line(good, text) {
  const made = element("p", text);
  made.className = `state ${good ? "good" : "bad"}`;
  return made;
}

function reported(report) {
  const { requests, same, different, failed, skipped } = report;
  const words = `${requests} captured requests against ${report.against}: ${same} the same, ${different} different, ${failed} failed`;
  const parts = [line(!different, skipped ? `${words}; ${skipped} left out, which failed then or whose payload was not kept` : words)];
  const names = ["p50", "p90", "p99", "max"];
  const times = (seconds) => names.map((one) => (one in seconds ? `${(seconds[one] * 1000).toFixed(1)} ms` : ""));
  parts.push(table("Times", ["Time", ...names], [
    ["captured", ...times(report.captured_seconds)],
    ["candidate", ...times(report.candidate_seconds)],
  ]));
  if (report.fields.length) {
    parts.push(table("Fields that differ", ["Field that differs", "Requests", "Largest difference"],
      report.fields.map((one) => [one.field, one.requests, one.distance?.toPrecision(4) ?? ""])));
  }
  if (report.samples.length) {
    parts.push(table("Answers that differ", ["Request", "Input", "Answered then", "Candidate"],
      report.samples.map((one) => [one.request_id, one.input, one.given, one.answered])));
  }
  return parts;
}

function step(document_, shown) {
  if (document_.report) shown.replaceChildren(...reported(document_.report));
  else if (document_.error) shown.replaceChildren(line(false, [document_.error.message, document_.error.hint].filter(Boolean).join(". ")));
  else shown.textContent = document_.done ? `${document_.state}, ${document_.done} done` : document_.state;
}

async function replay(form, shown) {
  const { against: candidate, since, limit } = form.elements;
  const body = { against: against(candidate.value), since: since.value, limit: Number(limit.value) };
  const button = form.querySelector("button");
  button.disabled = true;
  shown.textContent = "asking ...";
  try {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(form.dataset.url, { method: "POST", headers, body: JSON.stringify(body) });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      const lines = (rest + (value ?? "")).split("\n");
      rest = done ? "" : lines.pop();
      for (const one of lines) if (one.trim()) step(JSON.parse(one), shown);
      if (done) break;
    }
  } catch (error) {
    shown.replaceChildren(line(false, `no answer: ${error}`));
  }
  button.disabled = false;
}

function replaying() {
  const form = document.getElementById("replay-form");
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    replay(form, document.getElementById("replayed"));
  });
}

// -- charts ----------------------------------------------------------------------------------------------------------

function read(plot, clientX) {
  const svg = plot.querySelector("svg");
  const box = svg.getBoundingClientRect();
  const share = (clientX - box.left) / box.width;
  const points = JSON.parse(plot.dataset.readout);
  if (!points.length) return;
  const nearest = points.reduce((best, one) => (Math.abs(one[0] - share) < Math.abs(best[0] - share) ? one : best));
  let cursor = svg.querySelector(".cursor");
  if (!cursor) {
    cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
    cursor.setAttribute("class", "cursor");
    cursor.setAttribute("y1", "0");
    cursor.setAttribute("y2", "140");
    svg.append(cursor);
  }
  cursor.setAttribute("x1", String(nearest[0] * 600));
  cursor.setAttribute("x2", String(nearest[0] * 600));
  const figure = plot.closest("figure");
  const title = figure.querySelector(".chart-title");
  title.dataset.own ??= title.textContent;
  title.textContent = `${title.dataset.own}, ${nearest[1]}`;
  figure.querySelectorAll(".key b").forEach((value, index) => {
    value.dataset.own ??= value.textContent;
    value.textContent = nearest[2][index] || "-";
  });
}

function unread(plot) {
  plot.querySelector(".cursor")?.remove();
  for (const one of plot.closest("figure").querySelectorAll("[data-own]")) {
    one.textContent = one.dataset.own;
    delete one.dataset.own;
  }
}

function reading() {
  let under = null;
  document.addEventListener("pointermove", (event) => {
    const plot = event.target.closest?.(".plot") ?? null;
    if (under && under !== plot && under.isConnected) unread(under);
    under = plot;
    if (plot) read(plot, event.clientX);
  });
}

// -- copying, asking back --------------------------------------------------------------------------------------------

function copying() {
  if (!navigator.clipboard) return;
  for (const pre of document.querySelectorAll(".command pre, pre[data-copy]")) {
    const text = pre.textContent;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    const title = pre.previousElementSibling?.matches("h2, h3, p") ? pre.previousElementSibling : null;
    title ? title.append(button) : pre.before(button);
  }
}

function askingBack() {
  document.addEventListener("submit", (event) => {
    const words = event.submitter?.dataset.confirm;
    if (words && !confirm(words)) event.preventDefault();
  });
}

refreshing();
following();
trying();
replaying();
reading();
copying();
askingBack();
