// Elements, shapes, tables and requests of all pages.

// The contract whose model a page is about; Airflow's menu opens the page without one.
export const contract = new URLSearchParams(location.search).get("contract") ?? "penguins";

export const $ = (id) => document.getElementById(id);
export const time = (text) => new Date(text).toLocaleString();

export function make(tag, content = "", attributes = {}) {
  const element = document.createElement(tag);
  element.append(...[content].flat());
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

export const SVG = "http://www.w3.org/2000/svg";

export function shape(parent, name, attributes, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  parent.append(element);
  return element;
}

// Airflow's frame blocks new windows from inside: the page around it opens the link.
export function link(text, href) {
  const anchor = make("a", text, { href, target: "_blank", rel: "noopener" });
  anchor.addEventListener("click", (event) => {
    if (window.parent === window) return;
    event.preventDefault();
    const outside = window.parent.document.createElement("a");
    Object.assign(outside, { href, target: "_blank", rel: "noopener" });
    outside.click();
  });
  return anchor;
}

export function table(id, heads, rows) {
  const body = rows.map(({ cells, kind = "" }) => make("tr", cells.map((cell) =>
    cell instanceof HTMLElement && cell.tagName === "TD" ? cell : make("td", cell)), { class: kind }));
  $(id).replaceChildren(make("thead", make("tr", heads.map((head) => make("th", head, { scope: "col" })))),
    make("tbody", body));
}

export function tell(id, message) {
  $(id).textContent = message;
  $(id).hidden = !message;
}

export async function request(path, body, parameters = {}) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(`api/${path}?${new URLSearchParams({ contract, ...parameters })}`, options);
  if (response.status === 401) throw new Error("You aren't logged in: log in to Airflow.");
  if (response.status === 403) throw new Error("Your role in Airflow doesn't allow this.");
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.detail ?? `Airflow answers ${response.status}; its log says why.`);
  return answer;
}

// Shows the current action and disables all buttons meanwhile; returns the error message, or "".
export async function busy(doing, work) {
  const disable = (on) => document.querySelectorAll("button").forEach((button) => { button.disabled = on; });
  tell("trouble", "");
  tell("doing", doing);
  disable(true);
  try {
    await work();
    return "";
  } catch (error) {
    return error.message;
  } finally {
    tell("doing", "");
    disable(false);
  }
}

export async function offerContracts() {
  const names = await request("contracts").catch(() => []);
  $("contract").replaceChildren(...names.map((name) => make("option", name, { value: name })));
  $("contract").value = contract;
  $("contracts").hidden = names.length < 2;
  $("contract").addEventListener("change", ({ target: { value } }) => {
    location.search = `?contract=${encodeURIComponent(value)}`;
  });
  for (const other of document.querySelectorAll("nav a")) other.search = `?contract=${encodeURIComponent(contract)}`;
}
