// Asks the gateway for a series, then which of its values are anomalies, and draws both.
// Addresses are relative, so the page works at whatever host name the gateway has.

// On a telephone the plot is half as wide, so that its words can be read.
const WIDTH = matchMedia("(max-width: 600px)").matches ? 450 : 900;
const LEFT = 40, RIGHT = WIDTH - 10, TOP = 15, BOTTOM = 310;
const at = (id) => document.getElementById(id);

function shape(name, attributes, text) {
  const one = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  if (text !== undefined) one.textContent = text;
  at("plot").append(one);
}

function draw({ weeks, values }, flags) {
  at("plot").replaceChildren();
  at("plot").setAttribute("viewBox", `0 0 ${WIDTH} 340`);
  const most = Math.max(...values, 1);
  const x = (index) => LEFT + ((RIGHT - LEFT) * index) / (values.length - 1);
  const y = (value) => BOTTOM - ((BOTTOM - TOP) * value) / most;
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    shape("line", { x1: LEFT, x2: RIGHT, y1: y(part * most), y2: y(part * most) });
    shape("text", { x: LEFT - 6, y: y(part * most) + 4, "text-anchor": "end" }, Math.round(part * most));
  }
  for (const part of [0, 0.5, 1]) {
    const index = Math.round(part * (values.length - 1));
    const anchor = { 0: "start", 1: "end" }[part] ?? "middle";
    shape("text", { x: x(index), y: BOTTOM + 20, "text-anchor": anchor }, weeks[index]);
  }
  shape("path", { d: "M" + values.map((value, index) => `${x(index)},${y(value)}`).join("L") });
  const found = values.map((_, index) => index).filter((index) => flags[index]);
  for (const index of found) shape("circle", { cx: x(index), cy: y(values[index]), r: 4 });
  at("found").replaceChildren(...found.map((index) => {
    const row = document.createElement("tr");
    for (const text of [weeks[index], values[index]]) row.insertCell().textContent = text;
    return row;
  }));
  at("said").textContent = `${found.length} ${found.length === 1 ? "anomaly" : "anomalies"} in ${values.length} values`;
}

async function asked(path, more) {
  const answer = await fetch(path, more);
  const found = await answer.json();
  if (!answer.ok) throw new Error([found.message, found.detail].filter(Boolean).join(": "));
  return found;
}

async function show(series) {
  const headers = { "content-type": "application/json" };
  draw(series, await asked("anomalies", { method: "POST", headers, body: JSON.stringify(series.values) }));
}

function readExport(text) {
  // Two lines before the header; a period and a value from 0 to 100 a line, "<1" for what is less than one.
  const rows = text.trim().split(/\r?\n/).slice(3).map((row) => row.split(","));
  return { weeks: rows.map((row) => row[0]), values: rows.map((row) => (row[1] === "<1" ? 0.5 : Number(row[1]))) };
}

function told(work) {
  work.catch((error) => { at("said").textContent = `cannot plot: ${error.message}`; });
}

at("series").addEventListener("change", (event) => told(asked(`series/${event.target.value}`).then(show)));
at("export").addEventListener("change", (event) => told(event.target.files[0].text().then(readExport).then(show)));
told(asked("series").then((names) => {
  at("series").replaceChildren(...names.map((name) => new Option(name)));
  return asked(`series/${names[0]}`).then(show);
}));
