/* Catalogues: one file a language.  What the station itself says of a reason
   is English, and stands in for whatever a catalogue lacks. */
const languages = ["en", "de"];
const catalogues = {};
let now = "en";

export async function load(language) {
	if (!languages.includes(language))
		language = "en";
	if (!(language in catalogues)) {
		const answer = await fetch(`${language}.json`);
		catalogues[language] = await answer.json();
	}
	now = language;
	document.documentElement.lang = language;
	return language;
}

export function next(language) {
	return languages[(languages.indexOf(language) + 1) % languages.length];
}

export function has(key) {
	return key in (catalogues[now] ?? {});
}

/* {name} in a text is replaced. */
export function t(key, values = {}) {
	const text = catalogues[now]?.[key] ?? catalogues.en?.[key] ?? key;
	return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

function sentence(text = "") {
	return text.charAt(0).toUpperCase() + text.slice(1);
}

/* what and to_do of a failure, each a sentence of its own. */
export function reason(failure) {
	const key = `reason.${failure.reason}`;
	return has(`${key}.what`)
		? { what: t(`${key}.what`), todo: t(`${key}.to_do`) }
		: { what: sentence(failure.what), todo: sentence(failure.to_do) };
}

export function number(n, digits = 0) {
	return new Intl.NumberFormat(now, {
		minimumFractionDigits: digits,
		maximumFractionDigits: digits,
	}).format(n);
}

export function time(at) {
	return new Intl.DateTimeFormat(now, {
		hour: "2-digit",
		minute: "2-digit",
		hourCycle: "h23",
	}).format(new Date(at));
}
