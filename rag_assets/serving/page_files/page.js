// The page: asks /v1/answers, shows what comes, opens what it cites. Text only ever becomes text:
// nothing here writes markup.

const $ = (id) => document.getElementById(id);
const POLL_MS = 5000;
const MODELS = { slm: "small model", llm: "large model", none: "no model" };
const turns = []; // question and answer of each turn that was answered
let asking = null; // aborts the question that is being asked

function make(tag, traits = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(traits)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// Asking the answerer

class Refusal extends Error {
  constructor(code, sentence, waits = 0) {
    super(sentence);
    this.code = code;
    this.waits = waits;
  }
}

async function call(path, body, signal) {
  const options = body === undefined
    ? { signal }
    : {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
        signal,
      };
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("away", "The answerer cannot be reached.");
  }
  if (response.ok) return response;
  let error = {};
  try {
    error = (await response.json()).error;
  } catch {
    // no JSON: the number has to do
  }
  const sentence = error.message || `The answerer said ${response.status}.`;
  throw new Refusal(error.code, sentence, Number(response.headers.get("Retry-After")) || 0);
}

const read = async (path) => (await call(path)).json();

function remedy(refusal) {
  switch (refusal.code) {
    case "away":
      return "Start it with `rag up`, or look whether this machine is connected; then ask again.";
    case "invalid_api_key":
      return "Type your key, then ask again.";
    case "invalid_value":
    case "context_length_exceeded":
    case "request_too_large":
      return "Change the question and ask again.";
    case "rate_limit_exceeded":
      return `Many are asking. Ask again in ${refusal.waits || 5} seconds.`;
    case "model_failed":
      return "Ask in other words. If that fails too, the answerer's log says more.";
    case "not_ready":
    case "engine_unavailable":
      return "Ask again when the notice above is gone: this page looks every 5 seconds.";
    default:
      return "Ask again. If that fails too, the answerer's log says where it went wrong.";
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    const parts = held.split(/\r?\n\r?\n/);
    held = parts.pop();
    for (const part of parts) {
      const lines = part.split(/\r?\n/);
      const field = (name) =>
        lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trimStart());
      const data = field("data").join("\n");
      if (data && data !== "[DONE]") yield [field("event")[0] || "message", JSON.parse(data)];
    }
  }
}

async function ask(question) {
  const turn = begin(question);
  const only = filtersSaid();
  if (only) turn.node.firstChild.after(make("p", { className: "faint", textContent: only }));
  const started = performance.now();
  const seconds = () => ((performance.now() - started) / 1000).toFixed(1);
  const body = { question, mode: $("mode").value, stream: true, filters: filters() };
  if (turns.length) {
    body.messages = turns.flatMap((one) => [
      { role: "user", content: one.question },
      { role: "assistant", content: one.answer },
    ]);
  }
  asking = new AbortController();
  working(true);
  tell("Searching the documents");
  const clock = setInterval(() => (turn.clock.textContent = `${seconds()} s`), 500);
  try {
    const response = await call("/v1/answers", body, asking.signal);
    const answer = await streamed(response.body, turn);
    finish(turn, answer);
    turns.push({ question, answer: answer.answer });
    $("anew").disabled = false;
    tell(answer.abstained ? `Nothing was found, after ${seconds()} s.` : `Answered in ${seconds()} s.`);
    $("question").value = "";
  } catch (error) {
    fail(turn, error);
  } finally {
    clearInterval(clock);
    turn.clock.remove();
    turn.text.removeAttribute("aria-busy");
    asking = null;
    working(false);
  }
}

async function streamed(body, turn) {
  let text = "";
  const citations = [];
  for await (const [name, data] of events(body)) {
    if (name === "status") tell(data.status);
    else if (name === "sentence") {
      text += data.text;
      citations.push(...data.citations);
      write(turn.text, text, citations);
    } else if (name === "answer") return data;
    else if (name === "error") throw new Refusal(data.error.code, data.error.message);
  }
  throw new Refusal("away", "The answer broke off.");
}

function tell(sentence) {
  $("status").textContent = sentence;
}

function working(is) {
  $("ask").disabled = is;
  $("stop").hidden = !is;
}

// One turn of the conversation

function begin(question) {
  $("intro").hidden = true;
  const clock = make("span", { className: "faint", "aria-hidden": "true" });
  const text = make("div", { className: "answer", "aria-live": "polite" }, clock);
  text.setAttribute("aria-busy", "true");
  const node = make("li", { className: "turn" }, make("h2", { textContent: question }), text);
  $("turns").append(node);
  node.scrollIntoView({ block: "start" });
  return { node, text, clock, question };
}

function write(into, text, citations, answerId = "") {
  const named = new Map(citations.map((one) => [String(one.n), one]));
  const paragraphs = text.split("\n").filter((line) => line.trim());
  into.replaceChildren(...paragraphs.map((line) => make("p", {}, ...line.split(/(\[\d+\])/).map((part) => {
    const one = named.get(part.slice(1, -1));
    if (!one || !/^\[\d+\]$/.test(part)) return part;
    return answerId ? opener(answerId, one, part) : make("span", { textContent: part });
  }))));
}

function opener(answerId, citation, text) {
  const name = citation.title || citation.uri;
  const link = make("a", { href: `/?c=${answerId}.${citation.n}`, textContent: text });
  if (text !== name) link.setAttribute("aria-label", `Source ${citation.n}: ${name}`);
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab of its own
    event.preventDefault();
    openPassage(answerId, citation.n);
  });
  return link;
}

function finish(turn, answer) {
  write(turn.text, answer.answer, answer.citations, answer.answer_id);
  if (answer.question && answer.question !== turn.question.trim()) {
    turn.text.prepend(make("p", { className: "faint", textContent: `Understood as: ${answer.question}` }));
  }
  if (answer.abstained) turn.node.append(nothingFound(answer));
  if (answer.citations.length) turn.node.append(citationList(answer));
  turn.node.append(explained(answer), judging(answer));
}

function nothingFound(answer) {
  const advice = [...answer.repairs.filter((one) => /^No document/.test(one)),
    ...(filtersSaid() ? ["Take filters away, below the question."] : []),
    "Ask in other words, or name what you mean as the documents do.",
    "Sources, above, shows what can be asked about."];
  return make("div", { className: "notice" },
    make("h3", { textContent: "What you can do" }),
    make("ul", {}, ...advice.map((one) => make("li", { textContent: one }))));
}

function citationList(answer) {
  return make("ol", { className: "citations", "aria-label": "Sources of this answer" },
    ...answer.citations.map((one) => {
      const facts = [one.uri, one.page === null ? "" : `page ${one.page}`, day(one.modified_at)];
      const item = make("li", { value: one.n },
        opener(answer.answer_id, one, one.title || one.uri),
        make("span", { textContent: facts.filter(Boolean).join(" · ") }),
        make("blockquote", { textContent: one.quote }));
      if (one.superseded_by) {
        item.append(make("span", { textContent: `There is a newer version: ${one.superseded_by_title || one.superseded_by} (${one.superseded_by})` }));
      }
      return item;
    }));
}

const day = (time) => (time ? time.slice(0, 10) : "");

function explained(answer) {
  const { route, timings_ms: times } = answer;
  const tokens = Object.entries(answer.usage).map(([role, used]) =>
    `${MODELS[role] || role}: ${used.prompt_tokens} read (${used.cached_prompt_tokens} known already), ${used.completion_tokens} written`);
  const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
  const rows = [
    ["Way", [route.escalated ? `${route.reason} Another way was tried first.` : route.reason]],
    ["Model", [MODELS[route.model] || route.model]],
    ["Steps", answer.steps.map((step) => `${step.question} ${step.answer || "nothing was found"}`)],
    ["Time", [`${seconds(times.total)}: searching ${seconds(times.embed + times.retrieve)}, choosing ${seconds(times.route)}, models ${seconds(times.generate)}`]],
    ["Tokens", tokens],
    ["Certainty", answer.confidence === null ? [] : [`${Math.round(answer.confidence * 100)} %`]],
    ["Put right", answer.repairs],
    ["Index", [`${answer.generation.id}, made ${moment(answer.generation.created_at)}`]],
    ["Id", [answer.answer_id]],
  ];
  const list = make("dl");
  for (const [name, values] of rows) {
    if (!values.length) continue;
    const several = values.length > 1 || name === "Steps";
    list.append(make("dt", { textContent: name }),
      several
        ? make("dd", {}, make(name === "Steps" ? "ol" : "ul", {}, ...values.map((one) => make("li", { textContent: one }))))
        : make("dd", { textContent: values[0] }));
  }
  return make("details", {}, make("summary", { textContent: "How this was answered" }), list);
}

const moment = (time) => (time ? new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : "");

function fail(turn, error) {
  const stopped = error.name === "AbortError";
  const refusal = error instanceof Refusal ? error : new Refusal("page", `The page failed: ${error.message}`);
  const sentence = stopped ? "You stopped this question." : refusal.message;
  const todo = stopped ? "Change it below and ask again." : remedy(refusal);
  turn.text.replaceChildren();
  turn.node.append(make("div", { className: "notice" },
    make("p", { textContent: sentence }), make("p", { textContent: todo })));
  tell(`${sentence} ${todo}`);
  $("question").value = turn.question;
  if (refusal.code === "invalid_api_key") askKey();
  if (["not_ready", "engine_unavailable"].includes(refusal.code)) look();
}

// Feedback

function judging(answer) {
  const set = make("fieldset", { className: "judge" }, make("legend", { textContent: "Is this right?" }));
  const outcome = make("output");
  const expected = make("input", { type: "text", maxLength: 500, id: `expected-${answer.answer_id}` });
  const none = make("input", { type: "checkbox", id: `none-${answer.answer_id}` });
  const label = make("label", { htmlFor: expected.id });
  const more = make("div", { className: "more", hidden: true }, label, expected,
    make("div", { className: "row" }, none,
      make("label", { htmlFor: none.id, textContent: "No document holds the answer" })));
  const send = make("button", { type: "button", textContent: "Send" });
  more.append(make("div", { className: "row" }, send));
  let verdict = "";
  const buttons = ["right", "wrong"].map((name) => {
    const button = make("button", { type: "button", textContent: name === "right" ? "Right" : "Wrong" });
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      verdict = name;
      for (const one of buttons) one.setAttribute("aria-pressed", String(one === button));
      label.textContent = name === "right"
        ? "The fact in a few words, as the answer says it (optional)"
        : "What was expected, in a few words (optional)";
      none.parentElement.hidden = name === "right";
      more.hidden = false;
      expected.focus();
    });
    return button;
  });
  const submit = async () => {
    const body = { answer_id: answer.answer_id, verdict, expected: expected.value,
      unanswerable: verdict === "wrong" && none.checked };
    try {
      await call("/v1/feedback", body);
      outcome.className = "";
      outcome.textContent = "Thank you, this is kept.";
      more.hidden = true;
      buttons.find((one) => one.getAttribute("aria-pressed") === "true").focus();
    } catch (error) {
      outcome.className = "failed";
      outcome.textContent = `This was not kept: ${error.message}`;
    }
  };
  send.addEventListener("click", submit);
  expected.addEventListener("keydown", (event) => {
    if (event.key === "Enter") submit();
  });
  set.append(make("div", { className: "row" }, ...buttons, outcome), more);
  return set;
}

// A citation in its document

async function openPassage(answerId, n) {
  const dialog = $("passage");
  const [title, about, note, text, pages] =
    ["title", "about", "note", "text", "pages"].map((name) => $(`passage-${name}`));
  title.textContent = "Opening the passage";
  about.textContent = "";
  note.hidden = pages.hidden = true;
  text.replaceChildren();
  pages.replaceChildren();
  if (!dialog.open) dialog.showModal();
  const path = `/v1/passages/${encodeURIComponent(answerId)}/${encodeURIComponent(n)}`;
  let shown;
  try {
    shown = await read(path);
  } catch (error) {
    title.textContent = "This passage is not to be had";
    note.hidden = false;
    note.textContent = error.code === "not_found"
      ? "There is no such citation, or it is not for you. Ask the question again."
      : `${error.message} ${remedy(error)}`;
    if (error.code === "invalid_api_key") askKey();
    return;
  }
  const one = shown.citation;
  title.textContent = one.title || one.uri;
  const facts = [one.uri, one.heading_path.join(" > "), one.page === null ? "" : `page ${one.page}`,
    one.modified_at ? `file of ${day(one.modified_at)}` : ""];
  about.textContent = facts.filter(Boolean).join(" · ");
  const notes = [shown.note, one.superseded_by
    ? `There is a newer version: ${one.superseded_by_title || one.superseded_by} (${one.superseded_by}).` : ""];
  note.textContent = notes.filter(Boolean).join(" ");
  note.hidden = !note.textContent;
  text.replaceChildren(...passageText(shown));
  for (const page of shown.pages) pages.append(pageImage(path, page, one));
  pages.hidden = !shown.pages.length;
  text.querySelector("mark")?.scrollIntoView({ block: "center" });
}

function passageText(shown) {
  const cut = () => make("p", { className: "faint", textContent: "[...] The document goes on." });
  const nodes = shown.blocks.map((block) => {
    const tag = block.kind === "heading" ? "h3" : ["table", "code"].includes(block.kind) ? "pre" : "p";
    return make(tag, {}, ...block.parts.map((part) => (part.is_quoted ? make("mark", { textContent: part.text }) : part.text)));
  });
  return [...(shown.is_cut.before ? [cut()] : []), ...nodes, ...(shown.is_cut.behind ? [cut()] : [])];
}

function pageImage(path, page, citation) {
  const caption = make("figcaption", { textContent: `Page ${page}` });
  const image = make("img", {
    src: `${path}/pages/${page}`,
    alt: `Page ${page} of ${citation.title || citation.uri}; boxes mark the quote, which stands in the text beside it`,
  });
  const figure = make("figure", {}, image, caption);
  image.addEventListener("error", () => {
    image.remove();
    caption.textContent = `Page ${page} cannot be drawn; the text beside it is what was read.`;
  });
  return figure;
}

// Filters

function chosen(name) {
  return [...$(`filter-${name}`).querySelectorAll("input:checked")].map((one) => one.value);
}

function filters() {
  const given = { source: chosen("source"), type: chosen("type"),
    since: $("filter-since").value, until: $("filter-until").value };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value.length));
}

function filtersSaid() {
  const { source, type, since, until } = filters();
  const parts = [source && `source ${source.join(" or ")}`, type && `type ${type.join(" or ")}`,
    since && `from ${since}`, until && `until ${until}`].filter(Boolean);
  return parts.length ? `Only documents of: ${parts.join(", ")}` : "";
}

function offer(name, values) {
  const before = new Set(chosen(name));
  $(`filter-${name}`).replaceChildren(...values.map((value) =>
    make("label", {}, make("input", { type: "checkbox", value, checked: before.has(value) }), value)));
  $(`filter-${name}`).parentElement.hidden = values.length === 0;
}

function countFilters() {
  const number = Object.keys(filters()).length;
  $("filters-title").textContent = number ? `Filters (${number} in use)` : "Filters";
}

function noFilters() {
  for (const box of $("filters").querySelectorAll("input:checked")) box.checked = false;
  $("filter-since").value = $("filter-until").value = "";
  countFilters();
}

// Sources, readiness, the key

async function loadSources() {
  let known;
  try {
    known = await read("/v1/sources");
  } catch (error) {
    if (error.code === "invalid_api_key") askKey();
    else $("about").textContent = $("sources-about").textContent = `The sources are not known: ${error.message}`;
    return;
  }
  const documents = known.sources.reduce((sum, one) => sum + one.documents, 0);
  const noun = (n, name) => `${n} ${name}${n === 1 ? "" : "s"}`;
  const about = known.generation === null
    ? "No document can be asked about yet: refresh a source with `rag refresh`."
    : documents === 0
      ? "There is no document for you here. Ask whoever runs this which sources your key opens."
      : `${noun(documents, "document")} in ${noun(known.sources.length, "source")}, indexed ${moment(known.generation.created_at)}.`;
  $("about").textContent = $("sources-about").textContent = about;
  offer("source", known.sources.map((one) => one.name));
  offer("type", known.document_types);
  $("sources-rows").replaceChildren(...known.sources.map((one) => make("tr", {},
    make("th", { scope: "row", textContent: one.name }),
    make("td", { textContent: String(one.documents) }),
    make("td", { textContent: one.newest || "not dated" }),
    make("td", { textContent: moment(one.refreshed_at) || "not known" }))));
}

let looking = null;

async function look() {
  clearTimeout(looking);
  try {
    await call("/readyz");
    if (!$("trouble").hidden) loadSources();
    $("trouble").hidden = true;
  } catch (error) {
    const [heading, todo] = {
      not_ready: ["Nothing can be asked yet",
        "`rag status` shows what runs; documents come in with `rag refresh`."],
      engine_unavailable: ["The models are not ready", "After `rag up` they start within minutes."],
    }[error.code] || ["The answerer is away", "Start it with `rag up`."];
    $("trouble").replaceChildren(make("h2", { textContent: heading }),
      make("p", { textContent: error.message }),
      make("p", { textContent: `${todo} This page looks again every 5 seconds.` }));
    $("trouble").hidden = false;
    looking = setTimeout(look, POLL_MS);
  }
}

function askKey() {
  $("key-error").textContent = "";
  if (!$("key-asked").open) $("key-asked").showModal();
  $("key").focus();
}

async function giveKey(event) {
  event.preventDefault();
  try {
    await call("/page/key", { key: $("key").value });
  } catch (error) {
    $("key-error").textContent = error.message;
    return;
  }
  $("key").value = "";
  $("key-asked").close();
  $("leave").hidden = false;
  remember(true);
  await loadSources();
  tell("Your key is kept. Ask away.");
}

// Whether this browser holds a key is no secret; the key itself no script can read.
function remember(is) {
  if (is) localStorage.setItem("has-key", "yes");
  else localStorage.removeItem("has-key");
}

async function leave() {
  await call("/page/leave", {});
  remember(false);
  location.assign("/");
}

function anew() {
  turns.length = 0;
  $("turns").replaceChildren();
  $("intro").hidden = false;
  $("anew").disabled = true;
  tell("");
  $("question").focus();
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = $("question").value.trim();
  if (question && !asking) ask(question);
});
$("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("composer").requestSubmit();
  }
});
$("filters").addEventListener("change", countFilters);
$("no-filters").addEventListener("click", noFilters);
$("stop").addEventListener("click", () => asking?.abort());
$("anew").addEventListener("click", anew);
$("leave").addEventListener("click", leave);
$("key-form").addEventListener("submit", giveKey);
$("show-sources").addEventListener("click", () => {
  $("sources").showModal();
  loadSources();
});
for (const button of document.querySelectorAll("button.close")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
$("leave").hidden = localStorage.getItem("has-key") !== "yes";
await look();
await loadSources();
const linked = /^(answer_[0-9a-f]+)\.(\d+)$/.exec(new URLSearchParams(location.search).get("c") || "");
if (linked) openPassage(linked[1], linked[2]);
else if (!$("key-asked").open) $("question").focus();
