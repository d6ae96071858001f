/* A browser for a test: a line of JSON in ({do, ...}), a line out ({value} or
   {error}).  usage: browser.mjs NODE_MODULES CHROMIUM */
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";

const [modules, executablePath] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const browser = await chromium.launch({
	executablePath,
	args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
});
const context = await browser.newContext({
	viewport: { width: 1024, height: 768 },
	locale: "en-GB",
	timezoneId: "UTC",
	bypassCSP: false,
});
const page = await context.newPage();
const said = [];      /* by the console, and errors of the page */
const elsewhere = []; /* requests to any other place */
let origin = "";

page.on("console", (m) => said.push(`${m.type()}: ${m.text()}`));
page.on("pageerror", (e) => said.push(`error: ${e.message}`));
page.on("request", (r) => {
	if (!r.url().startsWith(origin))
		elsewhere.push(r.url());
});

const deeds = {
	async open({ url }) {
		/* what the page before says at its end is not this one's */
		await page.goto("about:blank");
		said.length = elsewhere.length = 0;
		origin = new URL(url).origin;
		const answer = await page.goto(url);
		return { status: answer.status(), headers: answer.headers() };
	},
	/* as a scanner does it: each key down and up, then Enter */
	async scan({ text }) {
		await page.keyboard.type(text);
		await page.keyboard.press("Enter");
	},
	async type({ text }) {
		await page.keyboard.type(text);
	},
	async press({ key }) {
		await page.keyboard.press(key);
	},
	/* until an expression in the page is true; one that asks for what is not
	   there yet is not */
	async until({ what, seconds = 30 }) {
		const end = Date.now() + seconds * 1000;
		let last = "false";
		while (!await page.evaluate(what).catch((e) => {
			last = e.message;
		})) {
			if (Date.now() > end)
				throw new Error(`not so in ${seconds} s: ${last}`);
			await new Promise((done) => setTimeout(done, 30));
		}
	},
	async get({ what }) {
		return page.evaluate(what);
	},
	async size({ width, height }) {
		await page.setViewportSize({ width, height });
	},
	async shot({ path, of }) {
		await (of ? page.locator(of) : page).screenshot({ path, scale: "css" });
	},
	/* by the debugger's way in, which no policy of the page's stands in */
	async axe() {
		const cdp = await context.newCDPSession(page);
		const run = async (expression) => {
			const got = await cdp.send("Runtime.evaluate", {
				expression, awaitPromise: true, returnByValue: true,
			});
			if (got.exceptionDetails)
				throw new Error(JSON.stringify(got.exceptionDetails));
			return got.result.value;
		};
		await run(`${axe}; 0`);
		return run(`axe.run().then(r => r.violations.map(v => ({
			id: v.id, impact: v.impact,
			nodes: v.nodes.map(n => n.html.slice(0, 200) + " " +
				n.failureSummary) })))`);
	},
	async said() {
		return { said, elsewhere };
	},
};

for await (const line of createInterface({ input: process.stdin })) {
	const { do: deed, ...rest } = JSON.parse(line);
	let answer;
	try {
		answer = { value: await deeds[deed](rest) ?? null };
	} catch (e) {
		answer = { error: String(e.message ?? e).slice(0, 2000) };
	}
	process.stdout.write(JSON.stringify(answer) + "\n");
}
await browser.close();
