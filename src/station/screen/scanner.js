/* A label scanner is a keyboard: it types characters and Enter, wherever the
   focus is.  A person can do the same. */
const LONGEST = 255;

export class Scanner {
	#to;
	#text = "";

	constructor(to) {
		this.#to = to;
		document.addEventListener("keydown", (e) => this.#key(e), true);
	}

	#key(e) {
		if (e.ctrlKey || e.altKey || e.metaKey || e.isComposing)
			return;
		if (this.#to.keys[e.key]) {
			e.preventDefault();
			this.#to.keys[e.key]();
		} else if (e.key === "Enter" && this.#text !== "") {
			e.preventDefault();
			const line = this.#text.trim();
			this.#set("");
			if (line !== "")
				this.#to.line(line);
		} else if (e.key === "Escape" && this.#text !== "") {
			e.preventDefault();
			this.#set("");
		} else if (e.key === "Backspace") {
			e.preventDefault();
			this.#set(this.#text.slice(0, -1));
		} else if (e.key.length === 1 && (e.key !== " " || this.#text !== "")) {
			/* a space alone is the focused button's */
			e.preventDefault();
			this.#set((this.#text + e.key).slice(0, LONGEST));
		}
	}

	#set(text) {
		this.#text = text;
		this.#to.typed(text);
	}
}
