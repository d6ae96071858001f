/* The station's events.  An answer ends after each, and the browser comes
   again by itself; only a station that does not answer is worth a word. */
const SILENT_MS = 4000;

export class Feed {
	#told;
	#source = null;
	#timer = 0;

	constructor(told) {
		this.#told = told;
	}

	open() {
		this.#source?.close();
		this.#source = new EventSource("api/v1/events");
		this.#source.addEventListener("open", () => this.#heard());
		this.#source.addEventListener("error", () => this.#unsure());
		for (const name of ["state", "unit", "refused", "label", "order",
			"decided", "no"])
			this.#source.addEventListener(name, (e) => {
				this.#heard();
				this.#told[name](JSON.parse(e.data));
			});
	}

	/* Something else has found that the station does not answer. */
	check() {
		this.#unsure();
	}

	#heard() {
		clearTimeout(this.#timer);
		this.#timer = 0;
		this.#told.lost(false);
	}

	/* A browser that has given up is started again. */
	#unsure() {
		if (this.#timer !== 0)
			return;
		this.#timer = setTimeout(() => {
			this.#timer = 0;
			this.#told.lost(true);
			if (this.#source.readyState === EventSource.CLOSED)
				this.open();
			else
				this.#unsure();
		}, SILENT_MS);
	}
}
