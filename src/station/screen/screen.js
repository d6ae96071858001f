/* The station's screen: what the station says, drawn; what is scanned, sent. */
import { Feed } from "./feed.js";
import { Scanner } from "./scanner.js";
import { load, next, t } from "./texts.js";
import { draw } from "./draw.js";

const ALERT_MS = 8000;

const view = { state: null, alert: null, lost: false, typed: "", language: "" };
let alertTimer = 0;

function redraw() {
	draw(view);
}

async function setLanguage(language) {
	view.language = await load(language);
	redraw();
}

function alertFor(kind, data) {
	view.alert = { kind, data };
	clearTimeout(alertTimer);
	alertTimer = setTimeout(() => {
		view.alert = null;
		redraw();
	}, ALERT_MS);
	redraw();
}

const feed = new Feed({
	async state(state) {
		view.state = state;
		if (view.language === "")
			await setLanguage(localStorage.getItem("language") || state.language);
		redraw();
	},
	unit() {
		view.alert = null;
	},
	refused(data) {
		alertFor("refused", data);
	},
	label(data) {
		alertFor(data.reason ? "refused" : "label", data);
	},
	order(data) {
		alertFor("order", data);
	},
	decided() {
		view.alert = null;
	},
	no(data) {
		alertFor("no", data);
	},
	lost(lost) {
		view.lost = lost;
		redraw();
	},
});

async function send(text) {
	try {
		const answer = await fetch("api/v1/scan", {
			method: "POST",
			headers: { "Content-Type": "application/json" },
			body: JSON.stringify({ text }),
		});
		if (!answer.ok)
			alertFor("no", { code: answer.status === 429
				? "too-fast" : "no-label" });
	} catch {
		feed.check();
	}
}

function toggleHelp() {
	const help = document.getElementById("help");
	if (help.open)
		help.close();
	else
		help.showModal();
}

function changeLanguage() {
	const language = next(view.language);
	localStorage.setItem("language", language);
	setLanguage(language);
}

new Scanner({
	typed(text) {
		view.typed = text;
		redraw();
	},
	line(text) {
		document.getElementById("help").close();
		view.alert = null;
		send(text);
	},
	keys: { F1: toggleHelp, F2: changeLanguage },
});
document.getElementById("help-button").addEventListener("click", toggleHelp);
document.getElementById("language-button").addEventListener("click", changeLanguage);
setInterval(redraw, 10000);
await load("en");
feed.open();
redraw();
document.title = t("title");
