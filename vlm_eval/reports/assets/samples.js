"use strict";
// The sample browser. Cards are made by the report, as escaped HTML in shards that are loaded when
// they are needed; `index.js` holds one line a sample, from which the filters are computed.
const vlmEval = (() => {
  const STEP = 12;
  const FACTS = ["show", "factor", "level", "field", "value", "q", "others", "sample"];
  const form = document.getElementById("filters");
  const cards = document.getElementById("cards");
  const status = document.getElementById("status");
  const more = document.getElementById("more");
  const pager = document.getElementById("pager");
  const fixed = [...cards.children]; // the cards that the page came with
  const shards = new Map(); // number -> promise of its cards
  const arrived = new Map(); // number -> what resolves that promise
  let data = null;
  let matching = [];
  let state = {};
  let drawn = 0;
  let turn = 0; // the latest wish; an older one that is still loading gives up

  // Shards.
  function load(number) {
    if (!shards.has(number)) {
      shards.set(number, new Promise((resolve, reject) => {
        arrived.set(number, resolve);
        const script = document.createElement("script");
        script.src = `${data.folder}/${String(number).padStart(4, "0")}.js`;
        script.onerror = () => reject(new Error(`${script.src} is missing`));
        script.onload = () => script.remove();
        document.head.append(script);
      }));
    }
    return shards.get(number);
  }

  async function card(sample) {
    return (await load(sample.shard)).get(sample.id);
  }

  // Filters. A code is a trial's outcome: r right, w wrong, p partial, u unparsed, f failed.
  const isWrong = (code) => code === "w" || code === "u";

  function flip(codes, i, factor) {
    const base = data.bases[factor][i];
    if (base < 0) return "";
    if (codes[base] === "r" && isWrong(codes[i])) return "to_wrong";
    if (isWrong(codes[base]) && codes[i] === "r") return "to_right";
    return "";
  }

  function holds(codes, i, factors) {
    switch (state.show) {
      case "to_wrong":
      case "to_right": return factors.some((factor) => flip(codes, i, factor) === state.show);
      case "wrong": return codes[i] === "w";
      case "right": return codes[i] === "r";
      case "unparsed": return codes[i] === "u";
      case "failed": return codes[i] === "f";
      default: return true;
    }
  }

  // The numbers of the conditions under which a sample has what is looked for.
  function hits(sample) {
    const factors = state.factor in data.factors ? [state.factor] : Object.keys(data.factors);
    const found = [];
    for (let i = 0; i < sample.codes.length; i += 1) {
      if (sample.codes[i] === "-") continue;
      const level = data.conditions[i][state.factor];
      if (state.factor && state.level && String(level) !== state.level) continue;
      if (holds(sample.codes, i, factors)) found.push(i);
    }
    return found;
  }

  function fieldHolds(sample) {
    const values = data.fields[state.field];
    if (!values || !state.value) return true;
    const place = Object.keys(data.fields).indexOf(state.field);
    return String(values[sample.fields[place]]) === state.value;
  }

  const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;").replaceAll('"', "&#34;").replaceAll("'", "&#39;");
  const plain = (html) => html.replace(/<\/?(?:mark|bdi|b|i)\b[^>]*>/g, "").replace(/<[^>]*>/g, "\n")
    .toLowerCase();
  const plainTexts = new Map();

  async function says(sample, wanted) {
    if (!plainTexts.has(sample.id)) plainTexts.set(sample.id, plain(await card(sample)));
    return plainTexts.get(sample.id).includes(wanted);
  }

  async function find() {
    const fitting = data.samples.filter((sample) =>
      (!state.sample || sample.id === state.sample)
      && fieldHolds(sample) && hits(sample).length > 0);
    if (!state.q) return fitting;
    const mine = turn;
    const wanted = escaped(state.q.toLowerCase());
    const found = [];
    for (const sample of fitting) {
      if (await says(sample, wanted)) found.push(sample);
      if (turn !== mine) return [];
    }
    return found;
  }

  // Drawing.
  function element(sample, html) {
    const template = document.createElement("template");
    template.innerHTML = html; // escaped when the report was made
    const article = template.content.firstElementChild;
    if (!state.show && !state.level) return article;
    const wanted = new Set(hits(sample));
    const factors = state.factor in data.factors ? [state.factor] : Object.keys(data.factors);
    const beside = new Set([...wanted].flatMap((i) => factors.map((f) => data.bases[f][i])));
    for (const tile of article.querySelectorAll(".tile")) {
      const number = Number(tile.dataset.condition);
      tile.classList.toggle("off", !wanted.has(number));
      tile.hidden = !wanted.has(number) && !beside.has(number) && !state.others;
    }
    return article;
  }

  async function draw(count) {
    const mine = turn;
    const next = matching.slice(drawn, drawn + count);
    const made = await Promise.all(next.map(async (one) => element(one, await card(one))));
    if (turn !== mine) return;
    cards.append(...made);
    drawn += next.length;
    more.hidden = drawn >= matching.length;
    tell();
  }

  function tell() {
    const all = data.samples.length;
    const count = matching.length;
    const trials = matching.reduce((sum, sample) => sum + hits(sample).length, 0);
    const n = (x) => x.toLocaleString("en");
    status.textContent = `${n(count)} of ${n(all)} samples, ${n(trials)} trials`
      + (drawn < count ? `; ${n(drawn)} shown` : "");
  }

  async function show() {
    turn += 1;
    const mine = turn;
    try {
      const found = await find();
      if (turn !== mine) return;
      matching = found;
      const filtered = FACTS.some((name) => state[name]);
      if (pager) pager.hidden = true;
      cards.replaceChildren();
      drawn = 0;
      if (filtered) {
        await draw(STEP);
      } else {
        cards.append(...fixed);
        drawn = fixed.length;
        more.hidden = drawn >= matching.length;
        tell();
      }
    } catch (error) {
      status.textContent = `Cannot be shown: ${error.message}`;
    }
  }

  // The address says what is shown, so that it can be sent to others.
  function read() {
    const given = new URLSearchParams(location.hash.slice(1));
    state = Object.fromEntries(FACTS.map((name) => [name, given.get(name) ?? ""]));
    for (const control of form.elements) {
      if (control.name === "level") fill(control, data.factors[state.factor] ?? []);
      if (control.name === "value") fill(control, data.fields[state.field] ?? []);
      if (control.type === "checkbox") control.checked = state[control.name] !== "";
      else if (control.name) control.value = state[control.name];
    }
    show();
  }

  function write() {
    const values = Object.fromEntries(new FormData(form));
    if (values.factor !== state.factor) values.level = "";
    if (values.field !== state.field) values.value = "";
    const kept = Object.entries(values).filter(([, value]) => value !== "");
    const hash = new URLSearchParams(kept).toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname);
    read();
  }

  function fill(select, values) {
    const options = values.map((value) => new Option(String(value), String(value)));
    select.replaceChildren(new Option("any", ""), ...options);
    select.disabled = values.length === 0;
  }

  function index(given) {
    const samples = given.samples.map(([id, codes, shard, ...fields]) => ({ id, codes, shard, fields }));
    data = { ...given, samples };
    fill(form.elements.factor, Object.keys(data.factors));
    fill(form.elements.field, Object.keys(data.fields));
    form.hidden = false;
    let waiting = 0;
    form.addEventListener("input", (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(write, event.target.name === "q" ? 250 : 0);
    });
    form.addEventListener("reset", () => setTimeout(write, 0));
    form.addEventListener("submit", (event) => event.preventDefault());
    more.addEventListener("click", () => draw(STEP));
    addEventListener("hashchange", read);
    read();
  }

  function shard([number, given]) {
    arrived.get(number)?.(new Map(given));
  }

  return { index, shard };
})();
