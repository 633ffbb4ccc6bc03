"use strict";

const GLYPHS = { stored: "✓", no_data: "–", pending: "…", failed: "✕", running: "▶", missing: "○" };
const VIEWS = ["coverage", "attention", "trends"];
// Airflow's root: its UI and API may be served below any path.
const ROOT = location.pathname.replace(/social-analytics\/.*$/, "");
const A_DAY = 24 * 60 * 60 * 1000;

const $ = (id) => document.getElementById(id);
const form = $("filters");
let overview;
let asked = new AbortController();

const dagPath = () => `api/v2/dags/${encodeURIComponent(overview.dag_id)}`;

// Everything that is shown is made here: children are nodes or text, never markup.
function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const day = (text, options) =>
  new Date(`${text}T00:00:00Z`).toLocaleDateString("en-GB", { timeZone: "UTC", ...options });
const longDay = (text) => day(text, { day: "numeric", month: "short", year: "numeric" });
const shortDay = (text) => day(text, { day: "numeric", month: "short" });
const number = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en-GB"));
const channels = (count) => `${number(count)} ${count === 1 ? "channel" : "channels"}`;

// A phone hides a list's head, so each cell has its own.
const cell = (head, ...children) => el("td", { "data-head": head }, ...children);
const headCell = (head, attributes = {}) => el("th", { scope: "col", "data-head": head, ...attributes }, head);
const listOf = (label, heads, rows) =>
  el("div", { class: "scroller", tabindex: "0", "aria-label": label }, el("table", { class: "list" },
    el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows)));

const labelOf = (choices, id) => choices.find((one) => one.id === id)?.label ?? id;
// A mark in the provider's colour. The name always stands beside it.
const COLOURS = 8;
function markOf(id) {
  const index = overview.providers.findIndex((one) => one.id === id);
  const colour = index < 0 ? COLOURS - 1 : index % COLOURS;
  return el("span", { class: `mark mark-${colour}`, "aria-hidden": "true" }, labelOf(overview.providers, id).slice(0, 2));
}
const providerOf = (id) => el("span", { class: "provider" }, markOf(id), labelOf(overview.providers, id));
// Where there is one provider, naming it tells nothing.
const providersOf = (names) => (overview.providers.length > 1 ? names.map(providerOf) : []);
const nameOf = (channel) => el("th", { scope: "row" }, channel.name, el("div", { class: "faint" },
  ...providersOf([channel.provider]), [channel.customer_name, channel.organization_name].filter(Boolean).join(", ")));

function show(id, text) {
  $(id).textContent = text ?? "";
  $(id).hidden = !text;
}

async function ask(path, init = {}) {
  const answer = await fetch(path, { signal: asked.signal, ...init });
  if (answer.ok) return answer.json();
  const said = await answer.json().catch(() => null);
  const detail = typeof said?.detail === "string" ? said.detail : null;
  if (answer.status === 401) throw new Error("You are not logged in any more: log in to Airflow, then come back.");
  if (answer.status === 403) throw new Error("Airflow does not let you do that.");
  throw new Error(detail ?? said?.detail?.[0]?.msg ?? `Airflow answered ${answer.status}.`);
}

// Airflow shows this page in a frame that may not navigate the window. A link in the window's own document may.
function follow(event) {
  const link = event.target.closest("a[data-out]");
  if (!link || window.parent === window) return;
  event.preventDefault();
  const outer = window.parent.document.createElement("a");
  outer.href = link.href;
  const newTab = link.target === "_blank" || event.ctrlKey || event.metaKey || event.button === 1;
  if (newTab) Object.assign(outer, { target: "_blank", rel: "noopener noreferrer" });
  window.parent.document.body.append(outer);
  outer.click();
  outer.remove();
}

function chosen() {
  const values = Object.fromEntries(new FormData(form));
  const view = VIEWS.find((name) => !$(name).hidden);
  const wanted = {
    coverage: ["search", "organization", "customer", "provider", "state", "days"],
    attention: ["organization", "customer", "provider"],
    trends: ["organization", "customer", "provider", "period"],
  }[view];
  return new URLSearchParams(wanted.filter((name) => values[name]).map((name) => [name, values[name]]));
}

function query() {
  const parameters = chosen();
  if (parameters.has("period")) {
    parameters.set("days", parameters.get("period"));
    parameters.delete("period");
  }
  return parameters;
}

// The address holds the view and the filters, so that they survive a reload.
function readAddress() {
  const [view, parameters] = location.hash.slice(1).split("?");
  for (const name of VIEWS) {
    const here = name === (VIEWS.includes(view) ? view : "coverage");
    $(name).hidden = !here;
    $(`tab-${name}`).setAttribute("aria-selected", here);
    $(`tab-${name}`).tabIndex = here ? 0 : -1;
  }
  const current = VIEWS.find((name) => !$(name).hidden);
  for (const label of form.querySelectorAll("[data-in]")) label.hidden = !label.dataset.in.split(" ").includes(current);
  offerChoices(current);
  const wanted = new URLSearchParams(parameters);
  const owner = overview.customers.find((one) => one.id === wanted.get("customer"))?.organization_id;
  if (current === "trends" && owner && !wanted.has("organization")) {
    form.elements.organization.value = owner;
    offerCustomers();
  }
  for (const [name, value] of wanted) {
    const field = form.elements.namedItem(name);
    if (!field || document.activeElement === field) continue;
    const before = field.value;
    field.value = value;
    // If the value is not in the list, such as an organization that is gone, keep the choice before.
    if (field.value !== value) field.value = before;
    if (name === "organization") offerCustomers();
  }
  load(current);
}

function writeAddress() {
  offerCustomers();
  const view = VIEWS.find((name) => !$(name).hidden);
  history.replaceState(null, "", `#${view}?${chosen()}`);
  load(view);
}

function options(name, choices, all) {
  const select = form.elements[name];
  const kept = select.value;
  const items = choices.map((one) => el("option", { value: one.id }, one.label));
  select.replaceChildren(...(all ? [el("option", { value: "" }, all)] : []), ...items);
  if (kept && choices.some((one) => one.id === kept)) select.value = kept;
}

// Those of the chosen organization, or all. Two organizations may have customers of the same name.
function offerCustomers() {
  const chosenOne = form.elements.organization.value;
  const offered = overview.customers.filter((one) => !chosenOne || one.organization_id === chosenOne);
  options("customer", offered.map((one) => (chosenOne ? one
    : { id: one.id, label: `${one.label} (${labelOf(overview.organizations, one.organization_id)})` })), "All");
  const label = form.elements.customer.parentElement;
  label.hidden = label.hidden || !overview.customers.length;
}

function offerChoices(view) {
  // A trend is about one organization on one provider.
  options("organization", overview.organizations, view === "trends" ? null : "All");
  options("provider", overview.providers, view === "trends" ? null : "All");
  options("state", overview.states, "Any");
  offerCustomers();
}

async function load(view) {
  asked.abort();
  asked = new AbortController();
  const signal = asked.signal;
  show("problem", null);
  $("download").href = `${view}.csv?${query()}`;
  $(view).setAttribute("aria-busy", "true");
  try {
    await { coverage, attention, trends }[view]();
  } catch (error) {
    if (!signal.aborted) show("problem", error.message);
  } finally {
    if (!signal.aborted) $(view).setAttribute("aria-busy", "false");
  }
}

/* Coverage */

function dayOf(integration, date, cell) {
  if (!cell) return el("td", { title: `${integration.name}, ${longDay(date)}: nothing expected` });
  const label = labelOf(overview.states, cell.state).toLowerCase();
  const words = `${integration.name}, ${longDay(date)}: ${label}${cell.error_code ? `, ${cell.error_code}` : ""}`;
  const looks = { class: `cell ${cell.state}`, title: words, "aria-label": words };
  if (cell.log_url) return el("td", {}, el("a", { ...looks, href: ROOT + cell.log_url, "data-out": "" }, GLYPHS[cell.state]));
  return el("td", {}, el("span", { ...looks, role: "img" }, GLYPHS[cell.state]));
}

function rowOf(integration, days) {
  return el("tr", {}, nameOf(integration), ...days.map((date, index) => dayOf(integration, date, integration.cells[index])));
}

const sumOf = (count) => Object.values(count).reduce((sum, one) => sum + one, 0);

function headOf(answer) {
  const dates = answer.days.map((date) =>
    el("th", { scope: "col" }, day(date, { weekday: "short" }), el("br"), shortDay(date)));
  const sums = answer.totals.map((total) => {
    const count = total.by_state;
    const all = sumOf(count);
    const words = overview.states.map((state) => `${number(count[state.id])} ${state.label.toLowerCase()}`).join(", ");
    return el("td", { title: words }, ...(all ? [number(count.stored), el("br"), `of ${number(all)}`] : []));
  });
  return el("thead", {},
    el("tr", {}, el("th", { scope: "col" }, "Channel"), ...dates),
    el("tr", { class: "totals" }, el("th", { scope: "row" }, "Stored, of expected"), ...sums));
}

async function coverage() {
  const answer = await ask(`api/coverage?${query()}`);
  const body = el("tbody", {}, ...answer.integrations.map((one) => rowOf(one, answer.days)));
  $("calendar").replaceChildren(headOf(answer), body);
  $("nothing").hidden = answer.integrations.length > 0;
  continueFrom(answer.next, body);
  // The latest days come into sight first.
  const scroller = $("calendar").parentElement;
  scroller.scrollLeft = scroller.scrollWidth;
}

function continueFrom(next, body) {
  $("more").hidden = next === null;
  $("more").onclick = async () => {
    const parameters = query();
    parameters.set("after", next);
    try {
      const answer = await ask(`api/coverage?${parameters}`);
      body.append(...answer.integrations.map((one) => rowOf(one, answer.days)));
      continueFrom(answer.next, body);
    } catch (error) {
      if (error.name !== "AbortError") show("problem", error.message);
    }
  };
}

function legend() {
  $("legend").replaceChildren(...overview.states.map((state) =>
    el("span", {}, el("span", { class: `cell ${state.id}`, "aria-hidden": "true" }, GLYPHS[state.id]), state.label)));
}

/* Needs attention */

// A frame may not open a dialog. So the button itself asks for a second click, within a few seconds.
function button(label, question, action) {
  let waiting;
  const pressed = async () => {
    clearTimeout(waiting);
    if (made.textContent === label) {
      made.textContent = question;
      waiting = setTimeout(() => { made.textContent = label; }, 6000);
      return;
    }
    made.textContent = label;
    made.disabled = true;
    show("problem", null);
    try {
      show("said", await action());
      watch();
    } catch (error) {
      made.disabled = false;
      show("problem", error.message);
    }
  };
  const made = el("button", { type: "button", click: pressed }, label);
  return made;
}

const post = (path, body) => ask(ROOT + path, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal: null,
});

async function runAgain(one) {
  await post(`${dagPath()}/clearTaskInstances`, {
    dry_run: false, only_failed: false, include_downstream: true, dag_run_id: one.run_id,
    task_ids: [[overview.ingest_task, one.map_index]],
  });
  return `${one.name} runs again, for ${longDay(one.days[one.days.length - 1])}.`;
}

async function startBackfill(backfill) {
  await post("api/v2/backfills", {
    dag_id: overview.dag_id, from_date: `${backfill.first}T00:00:00Z`, to_date: `${backfill.last}T00:00:00Z`,
    reprocess_behavior: "completed", dag_run_conf: {},
  });
  return `A backfill from ${longDay(backfill.first)} to ${longDay(backfill.last)} has started.`;
}

// Consecutive days as "from – to". A line breaks between two spans only.
function spans(days) {
  const found = [];
  for (const one of days) {
    const last = found[found.length - 1];
    if (last && Date.parse(one) - Date.parse(last[1]) === A_DAY) last[1] = one;
    else found.push([one, one]);
  }
  const words = ([from, to]) => (from === to ? shortDay(from) : `${shortDay(from)} – ${shortDay(to)}`);
  return found.map((span) => words(span).replaceAll(" ", "\u00a0")).join(", ");
}

function failureRow(one) {
  return el("tr", {},
    nameOf(one),
    cell("Since", longDay(one.since)),
    cell("Days missing", `${spans(one.days)} (${number(one.days.length)})`),
    cell("Reason", one.reason ?? "–", one.trace_id ? el("div", { class: "faint" }, `Trace ${one.trace_id}`) : null),
    cell("Actions", el("div", { class: "actions" },
      el("a", { href: ROOT + one.log_url, "data-out": "", "aria-label": `Log of ${one.name}` }, "Log"),
      one.map_index === null ? null : button("Run again", "Really run again?", () => runAgain(one)))));
}

function failureGroup(group) {
  const count = group.integrations.length + group.more;
  return el("article", { class: "card" },
    el("h2", {}, `${group.heading} (${number(count)})`, ...providersOf(group.providers)),
    el("p", {}, el("strong", {}, `${group.resolver}: `), group.advice),
    listOf(group.heading, ["Channel", "Since", "Days missing", "Reason", "Actions"].map((head) => headCell(head)),
      group.integrations.map(failureRow)),
    group.more ? el("p", { class: "faint" }, `And ${number(group.more)} more.`) : null);
}

function lackRow(one) {
  const names = one.integrations.flatMap((channel, index) => [index ? ", " : "",
    el("a", { href: ROOT + channel.log_url, "data-out": "", title: `Log of ${longDay(channel.day)}` }, channel.name)]);
  return el("tr", {},
    cell("Reason", one.reason, el("div", { class: "faint" }, ...providersOf([one.provider]))),
    cell("Channels", ...names, one.more ? ` and ${number(one.more)} more` : null),
    cell("Latest day", longDay(one.newest)));
}

function lackingCard(lacking) {
  const heading = "Stored, but not all of it";
  return el("article", { class: "card" },
    el("h2", {}, heading),
    el("p", {}, lacking.advice),
    listOf(heading, ["Reason", "Channels", "Latest day"].map((head) => headCell(head)), lacking.lacks.map(lackRow)),
    lacking.more ? el("p", { class: "faint" }, `And ${number(lacking.more)} more reasons.`) : null);
}

function backfillCard(backfill) {
  return el("article", { class: "card" },
    el("h2", {}, "Fill the gap"),
    el("p", {}, `From ${longDay(backfill.first)} to ${longDay(backfill.last)}, without failures that only the channels' owners can resolve. `,
      "Days that are complete are read again. Their figures stay as they are or become more exact."),
    // Lines break only between options.
    el("code", {}, ...backfill.command.split(/(?= --)/).map((option) => el("span", {}, option))),
    button("Start this backfill", "Really start it?", () => startBackfill(backfill)));
}

async function attention() {
  const answer = await ask(`api/attention?${query()}`);
  const shown = answer.groups.map(failureGroup);
  if (answer.backfill) shown.push(backfillCard(answer.backfill));
  if (answer.lacking) shown.push(lackingCard(answer.lacking));
  $("attention").replaceChildren(...(shown.length ? shown : [el("p", {}, "Nothing needs attention.")]));
}

/* Trends */

const W = 340, H = 130, LEFT = 8, TOP = 20, BOTTOM = 108;

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const channelsOn = (metric, index) => `${number(metric.reported[index])} of ${channels(metric.expected[index])}`;

function changeOn(metric, date) {
  const change = metric.channel_changes.find((one) => one.day === date);
  return change ? `, ${number(change.before)} before` : "";
}

// A line joins complete days only: an incomplete day would look like a drop.
function chart(metric, days) {
  const joined = metric.values.map((value, index) => (metric.complete[index] ? value : null));
  const known = metric.values.filter((value) => value !== null);
  const top = Math.max(...known, 1);
  const least = Math.min(...known, top);
  const low = metric.kind === "gauge" && least < top ? least : 0;
  const x = (index) => LEFT + (index * (W - 2 * LEFT)) / Math.max(1, days.length - 1);
  const y = (value) => BOTTOM - ((value - low) * (BOTTOM - TOP)) / Math.max(1, top - low);
  let path = "";
  joined.forEach((value, index) => {
    if (value !== null) path += `${joined[index - 1] == null ? "M" : "L"}${x(index)} ${y(value)}`;
  });
  const dots = metric.values.map((value, index) => {
    if (value === null) return null;
    const complete = metric.complete[index];
    return svg("circle", { class: complete ? "day" : "part", cx: x(index), cy: y(value), r: complete ? 2 : 3.5 },
      svg("title", {}, `${longDay(days[index])}: ${number(value)} (${channelsOn(metric, index)}${changeOn(metric, days[index])})`));
  }).filter(Boolean);
  const changes = metric.channel_changes.map((one) => {
    const at = x(days.indexOf(one.day));
    return svg("line", { class: "change", x1: at, x2: at, y1: TOP, y2: BOTTOM },
      svg("title", {}, `${longDay(one.day)}: ${channels(one.after)} reported, ${number(one.before)} before`));
  });
  const text = (where, anchor, words) => svg("text", { x: anchor === "end" ? W - LEFT : LEFT, y: where, "text-anchor": anchor }, words);
  return svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `${metric.label}, ${metric.unit} a day` },
    svg("line", { class: "axis", x1: LEFT, x2: W - LEFT, y1: BOTTOM, y2: BOTTOM }),
    svg("line", { class: "axis", x1: LEFT, x2: W - LEFT, y1: TOP, y2: TOP, "stroke-dasharray": "2 4" }),
    text(TOP - 6, "start", known.length ? `${number(top)} ${metric.unit}` : "no figures"),
    text(BOTTOM - 4, "start", number(low)),
    text(H - 6, "start", shortDay(days[0])), text(H - 6, "end", shortDay(days[days.length - 1])),
    ...changes, svg("path", { class: "line", d: path }), ...dots);
}

function percent(change) {
  const arrow = change > 0 ? "▲ +" : change < 0 ? "▼ −" : "= ";
  return `${arrow}${Math.abs(change * 100).toFixed(1)} %`;
}

function changeOf(metric) {
  if (metric.change !== null) return `${percent(metric.change)} compared with the period before (${number(metric.previous)})`;
  if (metric.total === null) return "No figures.";
  if (!metric.total_is_complete) return "Some days are incomplete, so no change is shown.";
  return metric.previous === null ? "The period before is incomplete, so no change is shown." : "It was 0 in the period before.";
}

function likeForLike(metric) {
  const alike = metric.like_for_like;
  if (!alike) return null;
  const when = metric.kind === "gauge" ? "at the end of both periods" : "on every day of both periods";
  const totals = `${number(alike.previous)} → ${number(alike.total)}`;
  return `Only the ${channels(alike.channels)} that reported ${when}: ${alike.change === null ? totals : `${percent(alike.change)} (${totals})`}`;
}

// The latest changes are named; the table has them all.
const NAMED_CHANGES = 3;
function channelsOf(metric) {
  const changes = metric.channel_changes;
  if (!changes.length) {
    const most = Math.max(...metric.reported);
    return most ? `${channels(most)} reported on each day with figures.` : null;
  }
  const named = changes.slice(-NAMED_CHANGES).map((one) => `${number(one.before)} → ${number(one.after)} on ${shortDay(one.day)}`);
  const rest = changes.length - named.length;
  return `Channels that reported: ${rest ? `${number(rest)} earlier changes, ` : ""}${named.join(", ")}.`;
}

function dayByDay(metric, days) {
  const rows = days.map((date, index) => el("tr", {},
    el("th", { scope: "row" }, longDay(date)),
    el("td", { "data-head": metric.label, class: "figure" }, number(metric.values[index])),
    cell("Channels", `${number(metric.reported[index])} of ${number(metric.expected[index])}${changeOn(metric, date)}`,
      metric.complete[index] ? null : el("div", { class: "faint" }, "incomplete"))));
  const heads = [headCell("Day"), headCell(metric.label, { class: "figure" }), headCell("Channels")];
  return el("details", {}, el("summary", {}, "Day by day"), listOf(`${metric.label}, day by day`, heads, rows));
}

// Posts are counted here.
const sourceOf = (metric) => (metric.unit === "posts" ? null
  : `${labelOf(overview.providers, form.elements.provider.value)} calls it ${metric.source}.`);

function metricCard(metric, days) {
  const total = metric.kind === "gauge" ? "on the last day" : "in the period";
  return el("article", { class: "card" },
    el("h2", {}, metric.label),
    el("p", {}, el("strong", {}, `${metric.total !== null && !metric.total_is_complete ? "≥ " : ""}${number(metric.total)}`), ` ${total}`,
      ...[changeOf(metric), likeForLike(metric), channelsOf(metric), sourceOf(metric)].filter(Boolean).map((line) => el("div", { class: "faint" }, line))),
    chart(metric, days),
    dayByDay(metric, days));
}

function postRow(one, metrics) {
  const message = el("span", { class: "message" }, one.message || one.kind);
  const safe = one.permalink?.startsWith("https://");
  const link = { href: one.permalink, "data-out": "", target: "_blank", rel: "noopener noreferrer" };
  return el("tr", {},
    el("td", {}, safe ? el("a", link, message) : message),
    cell("Kind", one.kind.replaceAll("_", " ")),
    cell("Channel", one.integration_name),
    cell("Published", longDay(one.published_on)),
    ...metrics.map((metric) => el("td", { "data-head": metric.label, class: "figure" }, number(one.figures[metric.id]))),
    cell("As of", longDay(one.read_on)));
}

function postsCard(best) {
  const heads = [...["Post", "Kind", "Channel", "Published"].map((head) => headCell(head)),
    ...best.metrics.map((metric) => headCell(metric.label, { class: "figure" })), headCell("As of")];
  return el("article", { class: "card" },
    el("h2", {}, "Best posts"),
    el("p", { class: "faint" }, `Posts published in the period, ranked by ${best.ranked_by.label.toLowerCase()} so far. `, best.note,
      " ", el("a", { href: `posts.csv?${query()}`, download: "" }, "Download all posts")),
    best.posts.length
      ? listOf("Best posts", heads, best.posts.map((one) => postRow(one, best.metrics)))
      : el("p", {}, "None."));
}

function sideFigure(figure, provider) {
  const head = { "data-head": provider.label, class: "figure" };
  if (!figure) return el("td", head, el("span", { class: "faint" }, "has none"));
  const least = figure.total !== null && !figure.total_is_complete ? "≥ " : "";
  return el("td", head, `${least}${number(figure.total)}`,
    figure.change === null ? null : el("div", { class: "faint" }, percent(figure.change)));
}

function choose(provider) {
  form.elements.provider.value = provider;
  writeAddress();
}

// No total over providers: what one counts as a view, another does not.
function sidesCard(answer) {
  const heads = answer.sides.map((side) => el("th", { scope: "col", class: "figure" },
    el("button", { type: "button", "aria-pressed": form.elements.provider.value === side.provider.id, click: () => choose(side.provider.id) },
      providerOf(side.provider.id)),
    el("div", { class: "faint" }, channels(side.channels))));
  const rows = answer.metrics.map((metric) => el("tr", {},
    el("th", { scope: "row" }, metric.label, metric.kind === "gauge" ? el("div", { class: "faint" }, "on the last day") : null),
    ...answer.sides.map((side) => sideFigure(side.figures[metric.id], side.provider))));
  return el("article", { class: "card sides" },
    el("h2", {}, "Providers side by side"),
    el("p", { class: "faint" }, "Each provider counts in its own way, so nothing is added up over providers. Choose one to see its days."),
    listOf("Providers side by side", [headCell("In the period"), ...heads], rows));
}

function reportLinks() {
  const { organization, customer } = form.elements;
  const link = (period) => el("a", {
    href: `report.html?${new URLSearchParams({ organization: organization.value, ...(customer.value && { customer: customer.value }), period })}`,
    "data-out": "", target: "_blank", rel: "noopener noreferrer",
  }, `Report of the last ${period}`);
  return el("p", { class: "actions" }, link("week"), link("month"));
}

async function trends() {
  const all = query();
  all.delete("provider");
  const sides = await ask(`api/side-by-side?${all}`);
  // An organization has channels on some providers only.
  if (sides.sides.length) options("provider", sides.sides.map((side) => side.provider), null);
  const parameters = query();
  $("download").href = `trends.csv?${parameters}`;
  const answer = await ask(`api/trends?${parameters}`);
  $("trends").replaceChildren(
    ...(sides.sides.length > 1 ? [sidesCard(sides)] : []),
    reportLinks(),
    el("h2", {}, ...providersOf([parameters.get("provider")])),
    el("p", { class: "faint" }, "Incomplete days are hollow marks; totals over them are shown as ≥. "
      + "A dashed line marks a day on which not as many channels reported as before."),
    el("div", { class: "charts" }, ...answer.metrics.map((metric) => metricCard(metric, answer.days))),
    ...(answer.best_posts ? [postsCard(answer.best_posts)] : []));
}

/* Progress */

// A backfill queues all its days at once. The schedule makes the next day's run only when a run has ended.
const KINDS = { scheduled: "Catching up", backfill: "Backfill", manual: "" };
const PACE = 4000, PACE_OF_TROUBLE = 30000;
let turn = 0, quiet = 0;

const airflow = (path) => ask(`${ROOT}${dagPath()}/dagRuns${path}`, { signal: null });
const runs = (kind, states, more) =>
  airflow(`?${new URLSearchParams([["run_type", kind], ...states.map((one) => ["state", one]), ...Object.entries(more)])}`);

async function runLine(run) {
  const list = await airflow(`/${encodeURIComponent(run.dag_run_id)}/taskInstances/${encodeURIComponent(overview.list_task)}`);
  const parameters = new URLSearchParams({ moment: run.logical_date ?? run.run_after });
  for (const name of ["date", "organization_id", "customer_id"]) if (run.conf?.[name]) parameters.set(name, run.conf[name]);
  for (const id of run.conf?.integration_ids ?? []) parameters.append("integration_ids", id);
  if (list.state === "success") parameters.set("since", list.start_date);
  const found = await ask(`api/progress?${parameters}`, { signal: null });
  const title = longDay(found.day);
  if (!found.all) return el("p", {}, `${title}: listing channels`);
  const failed = found.failed ? `, ${number(found.failed)} failed` : "";
  return el("p", {}, `${title}: ${number(found.done)} of ${number(found.all)} channels done${failed}`,
    el("progress", { max: found.all, value: found.done, "aria-label": title }));
}

async function kindLines(kind) {
  const active = await runs(kind, ["queued", "running"], { order_by: "-state", limit: 100 });
  let left = active.total_entries;
  if (!left) return [];
  const running = active.dag_runs.filter((run) => run.state === "running");
  const lines = await Promise.all(running.map(runLine));
  if (kind !== "manual") {
    const all = (field) => active.dag_runs.map((run) => run[field]).sort();
    const ended = { limit: 1, ...(kind === "backfill" ? { end_date_gte: all("queued_at")[0] } : {}) };
    const done = (await runs(kind, ["success", "failed"], ended)).total_entries;
    if (kind === "scheduled") {
      const toCome = Date.parse(overview.latest_due_day) - Date.parse(all("logical_date").pop());
      left += Math.max(0, Math.round(toCome / A_DAY));
    }
    // One daily run is not catching up.
    if (left > 1 || (done && kind === "backfill")) {
      lines.unshift(el("p", {}, `${KINDS[kind]}: ${number(done)} of ${number(done + left)} days done`));
    }
  }
  return lines.length ? lines : [el("p", {}, "A run is queued.")];
}

async function watch() {
  const mine = ++turn;
  if (document.hidden) return;
  let lines, pace = PACE;
  try {
    lines = (await Promise.all(Object.keys(KINDS).map(kindLines))).flat();
  } catch (error) {
    lines = [el("p", {}, `Progress is unknown: ${error.message}`)];
    pace = PACE_OF_TROUBLE;
  }
  if (mine !== turn) return;
  quiet = lines.length ? 0 : quiet + 1;
  const shown = !$("progress").hidden;
  // While Airflow catches up, there may be no run for a moment between two days.
  if (!quiet || (shown && quiet === 1)) setTimeout(() => { if (mine === turn) watch(); }, pace);
  if (shown && quiet === 1) return;
  $("progress").replaceChildren(...lines);
  $("progress").hidden = !lines.length;
  if (shown && quiet) refresh();
}

/* The frame around it */

function takeTheme() {
  let outer = null;
  try {
    outer = window.parent === window ? null : window.parent.document.documentElement;
  } catch {
    // Another site embeds this page, and the browser does not let it look at that site's document.
  }
  const system = matchMedia("(prefers-color-scheme: dark)");
  const take = () => {
    const dark = outer ? outer.classList.contains("dark") : system.matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  };
  take();
  system.addEventListener("change", take);
  if (outer) new MutationObserver(take).observe(outer, { attributes: true, attributeFilter: ["class"] });
}

function statusOf(latest) {
  const count = latest.by_state;
  const rest = overview.states.filter((state) => state.id !== "stored" && count[state.id])
    .map((state) => `${number(count[state.id])} ${state.label.toLowerCase()}`);
  const counts = [`${number(count.stored)} of ${number(sumOf(count))} stored`, ...rest].join(", ");
  const newest = overview.newest_complete_day;
  const complete = newest === latest.day;
  const owners = count.failed && complete ? " except for failures that only the channels' owners can resolve" : "";
  const before = newest ? ` Newest complete day: ${longDay(newest)}.` : " No day of the last two weeks is complete.";
  return `${complete ? "✓" : "✕"} ${longDay(latest.day)} is ${complete ? "complete" : "not complete"}${owners}: ${counts}.`
    + (complete ? "" : before);
}

async function refresh() {
  try {
    overview = await ask("api/overview", { signal: null });
  } catch (error) {
    show("status", null);
    show("problem", error.message);
    return;
  }
  show("status", overview.latest ? statusOf(overview.latest) : "Nothing is stored yet.");
  show("said", null);
  show("next", overview.next_step);
  show("not-read", overview.not_read.join(" "));
  $("views").hidden = !overview.latest;
  if (!overview.latest) return;
  legend();
  readAddress();
}

async function start() {
  takeTheme();
  document.addEventListener("click", follow);
  document.addEventListener("auxclick", follow);
  await refresh();
  if (!overview) return;
  addEventListener("hashchange", readAddress);
  document.addEventListener("visibilitychange", watch);
  watch();
  let typing;
  form.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(writeAddress, 250); });
  form.addEventListener("submit", (event) => { event.preventDefault(); writeAddress(); });
  for (const name of VIEWS) $(`tab-${name}`).addEventListener("click", () => {
    // Else what was typed last would bring the old view back. The new address has it.
    clearTimeout(typing);
    location.hash = `${name}?${chosen()}`;
  });
  document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const next = $(`tab-${VIEWS[(VIEWS.findIndex((name) => !$(name).hidden) + step + VIEWS.length) % VIEWS.length]}`);
    next.focus();
    next.click();
  });
}

start();
