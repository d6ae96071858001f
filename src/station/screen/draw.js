/* The whole screen from one view; what has not changed is left alone, so that
   a reader of the screen is told only what is new. */
import { number, reason, t, time } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";
const $ = (id) => document.getElementById(id);

function put(node, text) {
	if (node.textContent !== text)
		node.textContent = text;
}

function mark(node, name, value) {
	if (node.dataset[name] !== value)
		node.dataset[name] = value;
}

function element(name, className = "", text = "") {
	const node = document.createElement(name);
	node.className = className;
	node.textContent = text;
	return node;
}

function icon(name) {
	const svg = document.createElementNS(SVG, "svg");
	const use = document.createElementNS(SVG, "use");
	svg.setAttribute("aria-hidden", "true");
	use.setAttribute("href", `#i-${name}`);
	svg.append(use);
	return svg;
}

function setIcon(svg, name) {
	const use = svg.firstElementChild;
	if (use.getAttribute("href") !== `#i-${name}`)
		use.setAttribute("href", `#i-${name}`);
}

/* ---- header and footer ---- */

const centreIcons = { there: "there", away: "away", unknown: "there" };

function drawCentre(centre) {
	const own = centre.mode === "offline";
	const is = own ? "own" : centre.is;
	const node = $("centre");
	if (node.childElementCount === 0)
		node.append(icon("there"), element("span"));
	mark(node, "is", is);
	setIcon(node.firstElementChild, own ? "own" : centreIcons[is]);
	put(node.lastElementChild, t(`centre.${is}`, {
		since: centre.since ? time(centre.since) : "",
	}));
}

/* What was made here and the centre does not have. */
function drawSync(sync) {
	const node = $("sync");
	node.hidden = sync === null;
	if (sync === null)
		return;
	if (node.childElementCount === 0)
		node.append(icon("out"), element("span"));
	mark(node, "late", String(sync.late));
	setIcon(node.firstElementChild, sync.unsynced > 0 ? "out" : "passed");
	put(node.lastElementChild, sync.unsynced > 0
		? t("sync.waits", { n: number(sync.unsynced) }) : t("sync.none"));
}

/* A second disk that is there is worth no word. */
function drawMirror(mirror) {
	const node = $("mirror");
	node.hidden = mirror?.is !== "away" && mirror?.is !== "copies";
	if (node.childElementCount === 0)
		node.append(icon("see"), element("span"));
	put(node.lastElementChild, mirror?.is !== "copies" ? t("mirror.away")
		: t("mirror.copies", { n: `${number(mirror.copied)} / ${number(mirror.of)}` }));
}

/* Who stands here: an id, never a name. */
function drawCrew(s) {
	const node = $("crew");
	node.hidden = !s.badges;
	if (!s.badges)
		return;
	if (node.childElementCount === 0)
		node.append(icon("badge"), element("span"));
	mark(node, "in", String(s.operator !== null));
	put(node.lastElementChild, [
		s.operator ? t("crew.in", { value: s.operator }) : t("crew.nobody"),
		s.supervisor ? t("crew.supervisor", { value: s.supervisor }) : "",
	].filter(Boolean).join(" · "));
}

function drawFrame(view) {
	const s = view.state;
	put($("clock"), time(Date.now()));
	put($("help-button").lastElementChild, t("key.help"));
	put($("language-button").lastElementChild, t("key.language"));
	put($("hint"), t("hint"));
	if (!s)
		return;
	put($("station"), s.station);
	put($("making"), [s.product, s.batch].filter(Boolean).join(" · "));
	drawCentre(s.centre);
	drawCrew(s);
	drawSync(s.sync);
	drawMirror(s.mirror);
}

/* ---- the next step ---- */

function alertOf({ kind, data }) {
	if (kind === "refused") {
		const r = reason(data);
		return {
			icon: "see", tone: "warn",
			text: [data.fixture, data.device].filter(Boolean).join(" · ")
				+ ": " + r.what,
			more: r.todo,
		};
	}
	if (kind === "label")
		return { icon: "passed", tone: "",
			text: t("label.again", { device: data.device }),
			more: t("label.again.more") };
	if (kind === "order")
		return { icon: "passed", tone: "", text: t("order.extended"), more: "" };
	return { icon: "see", tone: "warn", text: t(`no.${data.code}`), more: "" };
}

const icons = {
	badge: "badge", stop: "stop", see: "see", scan: "ready", out: "out", insert: "empty",
	wait: "working",
};
const tones = { stop: "stop", see: "warn" };

function nextOf(view) {
	const n = view.state.next;
	const f = view.state.fixtures.find((one) => one.name === n.fixture);
	const values = { fixture: n.fixture ?? "" };
	if (n.do === "see") {
		const r = reason(f);
		return {
			icon: "see", tone: "warn",
			text: `${f.name}: ${r.todo}`, more: r.what,
		};
	}
	if (n.do === "stop") {
		const r = reason(view.state.stopped);
		return { icon: "stop", tone: "stop", text: t("next.stop"),
			more: `${r.what}. ${r.todo}.` };
	}
	return {
		icon: icons[n.do], tone: tones[n.do] ?? "",
		text: t(`next.${n.do}`, values), more: t(`next.${n.do}.more`, values),
	};
}

function stepOf(view) {
	if (view.lost)
		return { icon: "stop", tone: "stop", text: t("lost"), more: t("lost.more") };
	if (!view.state)
		return { icon: "working", tone: "", text: t("starting"), more: "" };
	return view.alert ? alertOf(view.alert) : nextOf(view);
}

function drawNext(view) {
	const step = stepOf(view);
	const node = $("next");
	mark(node, "tone", step.tone);
	mark(node, "do", view.lost ? "lost" : view.alert?.kind ?? view.state?.next.do ?? "");
	setIcon(node.querySelector("svg"), step.icon);
	put(node.querySelector("h2"), step.text);
	put(node.querySelector("p"), step.more);
	const typed = $("typed");
	typed.hidden = view.typed === "";
	/* a badge is nobody's to read along, whoever is in: all but a decision's words */
	const open = view.typed.startsWith("!") ||
		(view.state && !view.state.badges && view.state.next.do !== "stop");
	const shown = open ? view.typed : "•".repeat(view.typed.length);
	if (typed.textContent !== shown)
		typed.replaceChildren(element("bdi", "", shown));
}

/* ---- fixtures ---- */

function newTile(name) {
	const tile = element("li", "tile");
	const head = element("header");
	const word = element("p", "word");
	head.append(element("h3", "", name), element("span", "device"));
	word.append(icon("empty"), element("span"));
	const bar = element("progress");
	tile.append(head, word, element("p", "more"), bar);
	tile.dataset.fixture = name;
	return tile;
}

function moreOf(f) {
	switch (f.tile) {
	case "working":
		return t(f.waits_for_centre ? "step.waits" : `step.${f.step}`);
	case "passed":
		return t(f.label === "reprinted" ? "passed.reprinted"
			: f.again ? "passed.again" : "passed.more",
			{ seconds: number(f.ms / 1000, 1) });
	case "failed":
		return reason(f).what;
	default:
		return f.reason ? reason(f).what : t(`${f.tile}.more`);
	}
}

function drawTile(tile, f, steps) {
	mark(tile, "state", f.tile);
	put(tile.querySelector(".device"), f.device ?? "");
	setIcon(tile.querySelector(".word svg"), f.tile);
	put(tile.querySelector(".word span"), t(`tile.${f.tile}`));
	put(tile.querySelector(".more"), moreOf(f));
	const bar = tile.querySelector("progress");
	bar.hidden = f.tile !== "working";
	bar.max = steps;
	bar.value = f.step_n ?? 0;
	bar.setAttribute("aria-label", t("progress", { fixture: f.name }));
}

/* Tiles as large as the number lets them be. */
const columns = [[2, 2], [4, 2], [6, 3], [8, 4], [12, 4], [16, 4], [20, 5], [24, 6]];

function drawTiles({ fixtures, steps }) {
	const list = $("tiles");
	const n = fixtures.length;
	if (list.childElementCount !== n)
		list.replaceChildren(...fixtures.map((f) => newTile(f.name)));
	list.setAttribute("aria-label", t("fixtures"));
	mark(list, "many", String(n > 16));
	list.style.setProperty("--columns",
		n === 1 ? 1 : columns.find(([most]) => n <= most)?.[1] ?? 8);
	fixtures.forEach((f, i) => drawTile(list.children[i], f, steps));
}

/* ---- counters ---- */

function counter(name, value, small = "", sign = "", note = "") {
	return { name, value: value === null ? "–" : value, small, sign, note };
}

function drawCounters(c) {
	const rows = [
		counter("passed", number(c.passed), "", "passed"),
		counter("failed", number(c.failed), "", "failed"),
		counter("left", c.left === null ? null : number(c.left),
			c.of === null ? "" : t("of", { n: number(c.of) }), "",
			c.level === "" ? "" : ` · ${t(`level.${c.level}`)}`),
		counter("rate", c.units_per_hour === null ? null
			: number(c.units_per_hour)),
		counter("p99", c.p99_ms === null ? null
			: number(c.p99_ms / 1000, 1), "s"),
	];
	const list = $("counters");
	if (list.childElementCount === 0)
		for (const r of rows) {
			const box = element("div", r.name);
			const value = element("dd");
			if (r.sign !== "")
				value.append(icon(r.sign));
			value.append(element("span"), element("small"));
			box.append(element("dt"), value);
			list.append(box);
		}
	rows.forEach((r, i) => {
		const box = list.children[i];
		put(box.querySelector("dt"), t(`counter.${r.name}`) + r.note);
		put(box.querySelector("span"), r.value);
		put(box.querySelector("small"), r.small);
	});
}

/* ---- last failures ---- */

function failureRow(f) {
	const row = element("li");
	const what = element("span", "what");
	const r = reason(f);
	const at = element("time", "", time(f.at));
	at.dateTime = f.at;
	what.append(element("b", "", r.todo), ` (${r.what})`);
	row.append(at, element("b", "", f.fixture), element("span", "", f.device), what);
	row.dataset.reason = f.reason;
	return row;
}

function drawFailures(failures, language) {
	const node = $("failures");
	const shown = failures.slice(0, 3);
	const key = language + JSON.stringify(shown);
	put(node.querySelector("h2"), t("failures"));
	if (node.dataset.key === key)
		return;
	node.dataset.key = key;
	node.querySelector("ol").replaceChildren(...(shown.length > 0
		? shown.map(failureRow) : [element("li", "none", t("failures.none"))]));
}

function drawHelp(language) {
	const node = $("help");
	if (node.dataset.language === language)
		return;
	node.dataset.language = language;
	put(node.querySelector("h2"), t("help.title"));
	put(node.querySelector("p"), t("help.close"));
	node.querySelector("dl").replaceChildren(
		...["badge", "decide", "label", "fixture", "gang", "print", "adopt", "escape", "f2"].flatMap((name) => [
			element("dt", "", t(`help.${name}`)),
			element("dd", "", t(`help.${name}.does`)),
		]));
}

export function draw(view) {
	document.body.dataset.lost = view.lost;
	drawFrame(view);
	drawNext(view);
	drawHelp(view.language);
	if (!view.state)
		return;
	drawTiles(view.state);
	drawCounters(view.state.counters);
	drawFailures(view.state.failures, view.language);
}
